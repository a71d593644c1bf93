"""How the commands speak to a running server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Self
from urllib.parse import quote, urlencode

import click

SECONDS = 600
PIECE = 256 << 10


class Remote:
    """One neuronjson instance at one version of a server, asked over one connection, which `with` closes."""

    def __init__(self, rpc: str, uuid: str, name: str) -> None:
        self._rpc = rpc.removeprefix("http://").rstrip("/")
        self._base = f"/api/node/{quote(uuid, safe=':~')}/{quote(name, safe='')}"
        try:
            self._connection = HTTPConnection(self._rpc, timeout=SECONDS)
        except (HTTPException, ValueError) as err:
            raise click.ClickException(f"--rpc: {err}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **options: str) -> HTTPResponse:
        """The reply, not yet read.  Ends the command with the server's words when it refuses."""
        options = {"app": "dvid", "u": os.environ.get("USER", "")} | options
        query = urlencode({name: value for name, value in options.items() if value})
        try:
            self._connection.request(method, f"{self._base}/{path}?{query}", body)
            reply = self._connection.getresponse()
            if reply.status != 200:
                text = reply.read().decode("utf-8", "replace").strip()
                raise click.ClickException(text or f"{reply.status} {reply.reason}")
        except (OSError, HTTPException) as err:
            raise click.ClickException(
                f"no DVID server answers at {self._rpc} ({err}); name its HTTP address with --rpc HOST:PORT"
            ) from None
        return reply


def pieces(reply: HTTPResponse) -> Iterator[bytes]:
    """The body of a reply as it comes.  Ends the command when it breaks off."""
    try:
        while piece := reply.read1(PIECE):
            yield piece
    except (OSError, HTTPException) as err:
        raise click.ClickException(f"the reply broke off: {err}") from None
