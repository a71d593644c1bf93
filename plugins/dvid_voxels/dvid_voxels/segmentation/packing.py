"""Block coordinates as numbers: three fields of 21 bits, z highest.

Inside, a field is the coordinate + 2^20, so that packed numbers sort as (z, y, x) do.  On the wire it is a sign bit and
a magnitude of 20 bits.  Functions on arrays are kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest

from ..geometry import Triple

REACH = 1 << 20
"""Block coordinates that are indexed lie between -REACH and REACH, both excluded."""

CELL = 4
"""Bits of a coordinate within a cell."""

Keys = NDArray[np.uint64]

_MASK = np.uint64((1 << 21) - 1)
_LOW = np.uint64((1 << CELL) - 1)


def check_reach(blocks: Sequence[Triple]) -> None:
    """Raise `BadRequest` when a block (z, y, x) is further away than an index can say."""
    for z, y, x in blocks:
        if not (-REACH < z < REACH and -REACH < y < REACH and -REACH < x < REACH):
            raise BadRequest(f"block {x}, {y}, {z}: coordinates of blocks must lie between -{REACH} and {REACH}")


def pack_block(at: Triple) -> int:
    """The number of a block (z, y, x)."""
    z, y, x = at
    return (z + REACH) << 42 | (y + REACH) << 21 | (x + REACH)


def pack_blocks(points: NDArray[Any]) -> Keys:
    """(n, 3) z, y, x -> (n,)."""
    wide = points.astype(np.int64) + REACH
    return (wide[:, 0] << 42 | wide[:, 1] << 21 | wide[:, 2]).astype(np.uint64)


def unpack_blocks(keys: Keys) -> NDArray[np.int32]:
    """(n,) -> (n, 3) z, y, x."""
    fields = [(keys >> np.uint64(shift) & _MASK).astype(np.int32) - REACH for shift in (42, 21, 0)]
    return np.stack(fields, axis=-1)


def box_of_blocks(keys: Keys) -> tuple[Triple, Triple]:
    """The first and the last corner, z, y, x, of the least box of packed blocks, of which there is one at least."""
    fields = [keys >> np.uint64(shift) & _MASK for shift in (42, 21, 0)]
    low, high = ([int(f) - REACH for f in corner] for corner in zip(*((f.min(), f.max()) for f in fields)))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def to_wire(keys: Keys) -> Keys:
    """Packed blocks as the wire has them."""
    out = np.zeros(len(keys), np.uint64)
    for axis, shift in enumerate((42, 21, 0)):
        at = unpack_blocks(keys)[:, axis].astype(np.int64)
        out |= (np.abs(at) | (at < 0).astype(np.int64) << 20).astype(np.uint64) << np.uint64(shift)
    return out


def from_wire(keys: Keys) -> Keys:
    """Packed blocks from what the wire has.  Raises `BadRequest` for what is no block."""
    out = np.zeros(len(keys), np.uint64)
    if (keys >> np.uint64(63)).any():
        raise BadRequest("blocks: the key of a block has 63 bits")
    for shift in (42, 21, 0):
        field = (keys >> np.uint64(shift) & _MASK).astype(np.int64)
        if (field == REACH).any():
            raise BadRequest("blocks: a coordinate in the key of a block is -0")
        size = field & (REACH - 1)
        at = np.where(field >> 20, -size, size)
        out |= (at + REACH).astype(np.uint64) << np.uint64(shift)
    return out


def cells_of(keys: Keys) -> tuple[Keys, NDArray[np.uint16]]:
    """The cells that packed blocks are in, packed alike, and the blocks' places within them."""
    cells = np.zeros(len(keys), np.uint64)
    inside = np.zeros(len(keys), np.uint64)
    for n, shift in enumerate((42, 21, 0)):
        field = keys >> np.uint64(shift) & _MASK
        cells |= field >> np.uint64(CELL) << np.uint64(shift)
        inside |= (field & _LOW) << np.uint64(2 * CELL - CELL * n)
    return cells, inside.astype(np.uint16)


def blocks_in(cell: int, inside: NDArray[np.uint16]) -> Keys:
    """Packed blocks from a cell and places within it."""
    wide = inside.astype(np.uint64)
    base = 0
    for shift in (42, 21, 0):
        base |= (cell >> shift & ((1 << 21) - 1)) << CELL << shift
    out = np.full(len(wide), base, np.uint64)
    for n, shift in enumerate((42, 21, 0)):
        out |= (wide >> np.uint64(2 * CELL - CELL * n) & _LOW) << np.uint64(shift)
    return out
