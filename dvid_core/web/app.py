"""The HTTP side of a server: an aiohttp low-level server around one `Dispatcher`."""

from __future__ import annotations

from aiohttp import web

from ..server import Server
from .dispatch import Dispatcher

LINE = 1 << 20
"""Bytes of a request line or header: keys of thousands of bytes and long `blocks=` lists come in URLs."""


def make_server(server: Server) -> web.Server:
    """The protocol factory that answers for `server`.

    Bodies are stored as sent (no decompression), and work ends when its client leaves.
    """
    return web.Server(
        Dispatcher(server).handle,  # type: ignore[arg-type]  # WholeReply has all that is asked of a response
        handler_cancellation=True,
        max_line_size=LINE,
        max_field_size=LINE,
        auto_decompress=False,
        access_log=None,
        lingering_time=5.0,
    )


def make_runner(server: Server) -> web.ServerRunner:
    """A runner for sites; signals are handled by `dvid_core.web.serve`."""
    return web.ServerRunner(make_server(server), handle_signals=False)
