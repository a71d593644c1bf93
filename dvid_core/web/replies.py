"""Sending a `Reply` as an aiohttp response."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web
from multidict import CIMultiDict

from ..requests import Piece, Reply
from .bodies import expects_continue

log = logging.getLogger(__name__)

PATIENCE = 600.0
"""Seconds that a client may take for one piece of a reply."""


LARGE = 512 << 10
"""Bytes of a reply that is at hand whole and yet sent in pieces, each when the client has taken the one before."""

GATHER = 64 << 10
"""Bytes that are collected before a streamed reply begins."""


async def send(raw: web.BaseRequest, reply: Reply, extra: dict[str, str] | None) -> web.StreamResponse:
    """The response to `raw`; a streamed one is sent here."""
    headers: CIMultiDict[str] = CIMultiDict(extra or ())
    if reply.content_type is not None:
        headers["Content-Type"] = reply.content_type
    if reply.headers:
        headers.update(reply.headers)
    if reply.stream is None and len(reply.body) > LARGE and raw.method != "HEAD":
        reply = Reply(
            content_type=reply.content_type, status=reply.status, headers=reply.headers,
            stream=_slices(reply.body), length=len(reply.body),
        )  # fmt: skip
    if reply.stream is None:
        response = web.Response(body=reply.body, status=reply.status, headers=headers)
        if reply.status >= 400 and expects_continue(raw):
            # The client may or may not send the body that nobody asked for.
            response.force_close()
        return response
    return await _stream(raw, reply, headers)


async def _slices(body: bytes) -> AsyncIterator[Piece]:
    view = memoryview(body)
    for at in range(0, len(view), LARGE):
        yield view[at : at + LARGE]


async def _stream(raw: web.BaseRequest, reply: Reply, headers: CIMultiDict[str]) -> web.StreamResponse:
    stream = reply.stream
    assert stream is not None
    if reply.length is not None:
        headers["Content-Length"] = str(reply.length)
    response = web.StreamResponse(status=reply.status, headers=headers)
    try:
        if raw.method == "HEAD":
            if reply.length is None:
                response.force_close()
            await response.prepare(raw)
            return response
        # Errors up to here are proper error replies, since nothing was sent.
        held, ended = await _beginning(stream)
        if ended:
            whole = b"".join(held)
            if reply.length is not None and reply.length != len(whole):
                raise RuntimeError(f"a reply of {reply.length} bytes was promised and {len(whole)} were made")
            return web.Response(body=whole, status=reply.status, headers=headers)
        await response.prepare(raw)
        try:
            await _pump(response, held, stream, reply.length)
        except asyncio.CancelledError:
            raise
        except (ConnectionError, TimeoutError):
            _abort(raw)
        except Exception:
            log.exception("a reply to %s %s broke off", raw.method, raw.path)
            _abort(raw)
    finally:
        with contextlib.suppress(Exception):
            await stream.aclose()  # type: ignore[attr-defined]
    return response


async def _beginning(stream: AsyncIterator[Piece]) -> tuple[list[Piece], bool]:
    """The first pieces, and whether they are all: a short stream goes out as one reply."""
    pieces: list[Piece] = []
    size = 0
    async for piece in stream:
        pieces.append(piece)
        size += len(piece)
        if size >= GATHER:
            return pieces if len(pieces) == 1 else [b"".join(pieces)], False
    return pieces, True


async def _pump(
    response: web.StreamResponse, held: list[Piece], stream: AsyncIterator[Piece], length: int | None
) -> None:
    """Send what is in `held`, which is emptied, and the rest of the stream."""
    made = sum(map(len, held))
    while held:
        await _write(response, held.pop(0))
    async for piece in stream:
        made += len(piece)
        if length is not None and made > length:
            break
        await _write(response, piece)
        del piece  # it may have megabytes, which would stay until the next one came
    if length is not None and made != length:
        raise RuntimeError(f"a reply of {length} bytes was promised and {made} or more were made")
    await response.write_eof()


async def _write(response: web.StreamResponse, piece: Piece) -> None:
    async with asyncio.timeout(PATIENCE):
        await response.write(piece)


def _abort(raw: web.BaseRequest) -> None:
    """Cut the connection: a reply that broke off must not look whole."""
    if raw.transport is not None:
        raw.transport.abort()
