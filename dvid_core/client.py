"""How the command line speaks to a running server."""

from __future__ import annotations

import json
import os
from typing import IO, Any

import click

TIMEOUT_SECONDS = 600


class Failure(click.ClickException):
    """Ends a command with one sentence."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"dvid: {self.message}", file=file, err=True)


class Client:
    """A running server, asked over HTTP."""

    def __init__(self, address: str) -> None:
        from .config import join_address, parse_address

        try:
            host, port = parse_address(address)
        except ValueError as exc:
            raise Failure(f"--rpc: {exc}") from None
        self.address = join_address(host or "localhost", port)

    def ask(self, method: str, *path: str, body: Any = None, admin: bool = False, **options: str) -> str:
        """The text of the reply; `body` is a stream or goes as JSON.  Raises `Failure` with the server's words.

        `admin`: with the admin's token of the environment.  Other requests go without it, because with it they
        would also change committed versions.
        """
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.parse import quote, urlencode
        from urllib.request import ProxyHandler, Request, build_opener

        if admin and (token := os.environ.get("DVID_ADMIN_TOKEN")):
            options["admintoken"] = token
        query = urlencode({name: value for name, value in options.items() if value})
        url = f"http://{self.address}/api/{'/'.join(quote(part, safe=':~') for part in path)}?{query}".rstrip("?")
        data = body if body is None or hasattr(body, "read") else json.dumps(body).encode()
        # The server is named by its address, so a proxy of the environment must not stand between.
        opener = build_opener(ProxyHandler({}))
        kind = {"Content-Type": "application/octet-stream" if data is body else "application/json"}
        try:
            with opener.open(Request(url, data, kind if data else {}, method=method), timeout=TIMEOUT_SECONDS) as reply:
                return str(reply.read().decode("utf-8", "replace"))
        except HTTPError as exc:
            raise Failure(exc.read().decode("utf-8", "replace").strip() or f"{exc.code} {exc.reason}") from None
        except (OSError, HTTPException) as exc:
            raise Failure(
                f"no DVID server answers at {self.address} ({getattr(exc, 'reason', exc)}); "
                "name its HTTP address with --rpc HOST:PORT"
            ) from None
