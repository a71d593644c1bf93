"""`Wire`: a bare connection, for requests that no HTTP client would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from multidict import CIMultiDict

from .api import Answer

SECONDS = 15.0
"""How long an answer may take before the test fails."""


class Wire:
    """Sends bytes as they are, and reads replies one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Write the bytes; a connection that the server has closed is no error, its replies tell."""
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    def end(self) -> None:
        """Say that no more bytes come."""
        self._writer.write_eof()

    async def reply(self, *, body: bool = True) -> Answer | None:
        """The next reply, None when the connection was closed instead; `body=False` after a HEAD."""
        async with asyncio.timeout(SECONDS):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            status = int(first.split(" ")[1])
            headers = CIMultiDict((name.strip(), value.strip()) for name, _, value in (x.partition(":") for x in lines))
            empty = not body or status < 200 or status in (204, 304)
            return Answer(status, headers, b"" if empty else await self._body(headers))

    async def _body(self, headers: CIMultiDict[str]) -> bytes:
        if headers.get("Transfer-Encoding", "").lower() == "chunked":
            out = b""
            while size := int(await self._reader.readline(), 16):
                out += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readline()
            return out
        if "Content-Length" in headers:
            return await self._reader.readexactly(int(headers["Content-Length"]))
        return await self._reader.read()

    async def replies(self) -> list[Answer]:
        """All replies until the server closes the connection; call `end` before if it would keep it open."""
        out = []
        while (found := await self.reply()) is not None:
            out.append(found)
        return out

    async def closed(self) -> bool:
        """Whether the server closes the connection without a further byte."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Wire]:
    """A connection to the server at `url`."""
    place = urlsplit(url)
    wire = Wire(*await asyncio.open_connection(place.hostname, place.port, limit=1 << 24))
    try:
        yield wire
    finally:
        await wire.close()


def http_request(method: str, path: str, body: bytes = b"", *headers: str, host: str = "localhost") -> bytes:
    """A plain request; its Content-Length is given when there is a body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
