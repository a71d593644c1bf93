"""Streams of blocks: frames of int32 LE x, y, z (block coordinates), int32 LE n, and n bytes."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable

from dvid_core import Piece

from .volume import Stored, Volume

_HEAD = struct.Struct("<4i")


def frames(found: Iterable[Stored], form: Callable[[Piece], bytes]) -> bytes:
    """A kernel: the frames of stored blocks, `form` making a payload of each."""
    out = []
    for (z, y, x), stored in found:
        payload = form(stored)
        out += [_HEAD.pack(x, y, z, len(payload)), payload]
    return b"".join(out)


async def frame_stream(
    volume: Volume, batches: AsyncIterator[list[Stored]], form: Callable[[Piece], bytes]
) -> AsyncIterator[bytes]:
    """The frames of batches of stored blocks."""
    async for batch in batches:
        yield await volume.view.run(frames, batch, form)
