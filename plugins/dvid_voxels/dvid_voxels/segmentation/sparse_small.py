"""What is told of most bodies, which have a few blocks, straight from the stored index, without arrays."""

from __future__ import annotations

import struct

from ..geometry import Triple
from .body import HEAD
from .packing import REACH

MOST = 48
"""Rows of an index that is looked at like this."""

NBYTES = 2048
"""Bytes that an index of so many rows is certain not to exceed."""

FIELD = (1 << 21) - 1

RUN = struct.Struct("<4i")


def blocks_of_small(data: bytes) -> tuple[int, list[int]] | None:
    """The voxels and the packed blocks, ascending, of a stored index; None when it is for others.  See `body`."""
    if len(data) > NBYTES:
        return None
    kind, flags, _, rows, voxels, _ = HEAD.unpack_from(data)
    if kind or flags & ~1 or not 0 < rows <= MOST:
        return None
    at = HEAD.size
    if flags:
        for _ in range(3):
            at += 2 + data[at] + (data[at + 1] << 8)
    # Rows are sorted by block.
    return voxels, list(dict.fromkeys(struct.unpack_from(f"<{rows}Q", data, at)))


def box_of_small(blocks: list[int]) -> tuple[Triple, Triple]:
    """The corners, z, y, x, both inside, of the least box of packed blocks that are in order."""
    ys, xs = [b >> 21 & FIELD for b in blocks], [b & FIELD for b in blocks]
    low = (blocks[0] >> 42) - REACH, min(ys) - REACH, min(xs) - REACH
    return low, ((blocks[-1] >> 42) - REACH, max(ys) - REACH, max(xs) - REACH)


def runs_of_small(blocks: list[int]) -> bytes:
    """Packed blocks that are in order as runs of int32 x, y, z, length."""
    out, first, length = [], blocks[0], 0
    for block in blocks:
        if block != first + length:
            out.append(RUN.pack((first & FIELD) - REACH, (first >> 21 & FIELD) - REACH, (first >> 42) - REACH, length))
            first, length = block, 0
        length += 1
    out.append(RUN.pack((first & FIELD) - REACH, (first >> 21 & FIELD) - REACH, (first >> 42) - REACH, length))
    return b"".join(out)
