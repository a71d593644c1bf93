"""One instance on a running server, as `dvid load` asks it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode

import click
import msgspec

from ..geometry import Triple
from .progress import Progress

SECONDS = 600


class Refusal(click.ClickException):
    """Raised when the server answers that it will not; its words, and the status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text or f"the server answered with status {status}")
        self.status = status

    def show(self, file: Any = None) -> None:
        click.echo(f"dvid: {self.message}", file=file, err=True)


class Gone(click.ClickException):
    """Raised when no server answers, or no longer."""

    def show(self, file: Any = None) -> None:
        click.echo(f"dvid: {self.message}", file=file, err=True)


class Remote:
    """An instance seen from one version."""

    def __init__(self, rpc: str, uuid: str, name: str) -> None:
        self._rpc = rpc.removeprefix("http://").rstrip("/")
        self._base = f"/api/node/{quote(uuid, safe=':~')}/{quote(name, safe='')}"

    def ask(self, method: str, path: str, body: Any = None, length: int = 0, **options: str) -> bytes:
        """The body of the reply.  `body` is bytes, or `length` bytes in pieces.  Raises `Refusal` and `Gone`."""
        options = {"app": "dvid", "u": os.environ.get("USER", "")} | options
        query = urlencode({name: value for name, value in options.items() if value})
        headers = {"Content-Length": str(length)} if length else {}
        # A connection for each request: one that waited for a slow disk may have been closed meanwhile.
        connection = None
        try:
            connection = HTTPConnection(self._rpc, timeout=SECONDS)
            # A server that refuses may answer, and close, before it has read all.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, f"{self._base}/{path}?{query}", body, headers)
            reply = connection.getresponse()
            data = reply.read()
        except (OSError, HTTPException, ValueError) as err:
            raise Gone(
                f"no DVID server answers at {self._rpc} ({err}); name its HTTP address with --rpc HOST:PORT"
            ) from err
        finally:
            if connection is not None:
                connection.close()
        if reply.status != 200:
            raise Refusal(reply.status, data.decode("utf-8", "replace").strip())
        return data

    def info(self) -> dict[str, Any]:
        """What the instance says of itself."""
        try:
            found = msgspec.json.decode(self.ask("GET", "info"))
            found["Base"]["TypeName"], found["Extended"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise Gone(f"what answers at {self._rpc} is no DVID server") from None
        return dict(found)

    def progress(self, name: str) -> Progress | None:
        """How far the load of this name is, None when it never began.  Raises `Refusal` when none is kept."""
        try:
            return msgspec.json.decode(self.ask("GET", f"load/{name}"), type=Progress)
        except Refusal as err:
            if err.status == 404:
                return None
            raise

    def note(self, name: str, progress: Progress) -> None:
        """Let the server know how far it is."""
        self.ask("PUT", f"load/{name}", msgspec.json.encode(progress))

    def put(self, size: str, offset: str, pieces: Iterable[memoryview], length: int, **options: str) -> None:
        """Write a box of voxels; `size` and `offset` as x_y_z."""
        self.ask("POST", f"raw/0_1_2/{size}/{offset}", pieces, length, **options)

    def get(self, size: Triple, offset: Triple, **options: str) -> bytes:
        """The voxels of a box; `size` and `offset` as z, y, x."""
        place = "/".join("_".join(map(str, zyx[::-1])) for zyx in (size, offset))
        return self.ask("GET", f"raw/0_1_2/{place}", None, 0, **options)
