"""Posted voxels, as they are or compressed, as a stream of a length that is known or checked."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import cramjam
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Request, View

PIECE = 1 << 20

LZ4_BYTES = 1 << 30
"""Bytes of voxels that may be posted as one LZ4 block: it is inflated whole."""


class Posted:
    """The voxels of a request, for `dvid_voxels.ingest.BodyReader`: it asks for `body.length` and `chunks()`."""

    def __init__(self, length: int | None, pieces: AsyncIterator[bytes]) -> None:
        self.body = self
        self.length = length
        self._pieces = pieces

    def chunks(self) -> AsyncIterator[bytes]:
        """The voxels as they come."""
        return self._pieces


def posted(view: View, request: Request, compression: str, expected: int) -> Posted:
    """The voxels that a request brings as a stream, `expected` bytes once they are inflated."""
    if compression == "gzip":
        return Posted(None, _gunzipped(view, request, expected))
    return Posted(request.body.length, request.chunks())


async def posted_lz4(view: View, request: Request, expected: int) -> NDArray[np.uint8]:
    """The voxels that a request brings as one LZ4 block, `expected` bytes.  Raises `BadRequest`."""
    if expected > LZ4_BYTES:
        raise BadRequest(f"size: {expected} bytes of voxels are more than the {LZ4_BYTES} that may come as LZ4")
    data = await request.read(expected + expected // 200 + 64)
    # A byte of an LZ4 block stands for 255 bytes at most.
    if len(data) * 255 < expected:
        raise BadRequest(f"an LZ4 block of {len(data)} bytes cannot hold the {expected} bytes that the request needs")
    return await view.run(_inflated, data, expected)


def _inflated(data: bytes, expected: int) -> NDArray[np.uint8]:
    room = np.empty(expected, np.uint8)
    try:
        size = cramjam.lz4.decompress_block_into(data, room.data)
    except (cramjam.DecompressionError, OSError, ValueError) as err:
        raise BadRequest(f"the body is no LZ4 block of {expected} bytes: {err}") from None
    if size != expected:
        raise BadRequest(f"the LZ4 block holds {size} bytes where the request needs {expected}")
    return room


async def _gunzipped(view: View, request: Request, expected: int) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(31)
    came = 0
    async for chunk in request.chunks():
        rest = chunk
        while rest:
            if unpacker.eof:
                raise BadRequest("something follows the gzip member of the body")
            try:
                piece = await view.run(unpacker.decompress, rest, PIECE)
            except zlib.error as err:
                raise BadRequest(f"the body is no gzip: {err}") from None
            came += len(piece)
            if came > expected:
                raise BadRequest(f"the gzip body holds more than the {expected} bytes that the request needs")
            if piece:
                yield piece
            rest = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise BadRequest("the gzip body is cut")
