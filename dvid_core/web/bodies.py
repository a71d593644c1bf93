"""Request bodies of aiohttp as `dvid_core.requests.Body`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from ..errors import BadRequest

PATIENCE = 600.0
"""Seconds that a client may be silent in the middle of a body."""


def expects_continue(raw: web.BaseRequest) -> bool:
    """Whether the client sends the body only when it is told to."""
    return raw.headers.get("Expect", "").lower() == "100-continue"


class AiohttpBody:
    """The body of one aiohttp request."""

    __slots__ = ("_invited", "_raw")

    def __init__(self, raw: web.BaseRequest) -> None:
        self._raw = raw
        self._invited = False

    @property
    def length(self) -> int | None:
        return self._raw.content_length if self._raw.body_exists else 0

    async def _invite(self) -> None:
        """Tell a client that waits for it to send the body: only when a handler wants it, so errors save the upload."""
        if not self._invited and expects_continue(self._raw):
            self._invited = True
            await self._raw.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._raw.writer.output_size = 0

    async def read(self, limit: int) -> bytes:
        if not self._raw.body_exists:
            return b""
        length = self.length
        if length is not None and length > limit:
            raise BadRequest(f"the body has {length} bytes; at most {limit} are taken here")
        content = self._raw.content
        if content.is_eof():
            return content.read_nowait()
        await self._invite()
        pieces, size = [], 0
        async for piece in self.chunks():
            size += len(piece)
            if size > limit:
                raise BadRequest(f"the body has more than the {limit} bytes that are taken here")
            pieces.append(piece)
        return b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        if not self._raw.body_exists:
            return
        await self._invite()
        content = self._raw.content
        while True:
            if content.is_eof():
                # Everything is here: no need for a timer.
                piece = await content.readany()
            else:
                try:
                    async with asyncio.timeout(PATIENCE):
                        piece = await content.readany()
                except TimeoutError:
                    raise BadRequest(f"no byte of the body came for {PATIENCE:.0f} seconds") from None
            if not piece:
                return
            yield piece
