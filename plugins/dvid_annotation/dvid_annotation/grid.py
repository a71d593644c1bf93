"""Where elements are stored: bricks of 2 x 2 x 2 blocks, and finer cells where many lie together.

A cell of level 0 is a brick, of level 1 a block; each further level halves the one before along each axis, down to
single voxels.  The path of a cell has for each of its levels the octant (three bits: z, y, x) in which it lies, the
first level in the highest bits.  So the cells of a brick sort along a Z-order curve, each before those inside it, and
those of a block lie together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_voxels.geometry import Box, Triple

from .keys import CELL

TKEY = 22
"""Bytes of the tkey of a cell: class, brick, path, level."""

TOP = 60
"""The bits of a path: 20 levels."""

DEFAULT = (64, 64, 64)
"""The size of a block where no labels are followed."""

Positions = NDArray[np.int32]
"""Positions (n, 3), z, y, x."""

_BIAS = np.uint32(2**31)
_FIRST, _LAST = -(2**31), 2**31 - 1


class Grid:
    """The cells of one instance; `block` is the size of a block, z, y, x."""

    def __init__(self, block: Triple) -> None:
        self.block = block
        self.brick: Triple = (2 * block[0], 2 * block[1], 2 * block[2])
        self._block = np.array(block, np.int64)
        self._first = tuple(_FIRST // size for size in block)
        self.levels = 1 + max(n - 1 for n in block).bit_length()
        """The level of single voxels."""

    def blocks(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """The block of each position, (n, 3)."""
        found: NDArray[np.int64] = positions // self._block
        return found

    def bricks(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """The brick of each position, (n, 3)."""
        return self.blocks(positions) >> 1

    def paths(self, positions: NDArray[Any], level: int) -> NDArray[np.uint64]:
        """The path of the cell of this level that holds each position, (n,)."""
        paths = np.zeros(len(positions), np.uint64)
        if level:
            blocks = self.blocks(positions)
            offsets = positions - blocks * self._block
            for n in range(1, level + 1):
                part = blocks if n == 1 else (offsets << (n - 1)) // self._block
                octant = (part & 1) @ np.array([4, 2, 1])
                paths |= octant.astype(np.uint64) << np.uint64(TOP - 3 * n)
        return paths

    def keys(self, positions: NDArray[Any], level: int = 0) -> list[bytes]:
        """The tkeys of the cells of one level that hold the positions."""
        return cell_keys(self.bricks(positions), self.paths(positions, level), level)

    def key_text(self, block: Sequence[int]) -> bytes:
        """A block, z, y, x, as the key of its list, and what begins the list.

        The first block of all space is shown as the last one along an axis: 32-bit arithmetic wraps there in the
        reference, and clients know the block by that name.
        """
        z, y, x = block
        if z == self._first[0] or y == self._first[1] or x == self._first[2]:
            z, y, x = (_LAST // size if n == first else n for n, first, size in zip(block, self._first, self.block))
        return b'"%d,%d,%d":[' % (x, y, z)

    def box(self, brick: Sequence[int], path: int, level: int) -> Box:
        """The voxels of a cell."""
        low, high = [], []
        for axis, size in enumerate(self.block):
            parts = [path >> (TOP - 3 * n + 2 - axis) & 1 for n in range(1, level + 1)]
            if not parts:
                low.append(2 * brick[axis] * size)
                high.append(2 * (brick[axis] + 1) * size)
                continue
            start = (2 * brick[axis] + parts[0]) * size
            part = 0
            for bit in parts[1:]:
                part = 2 * part + bit
            many = 1 << (level - 1)
            # Offset o lies in part o * many // size.
            low.append(start - (-part * size // many))
            high.append(start - (-(part + 1) * size // many))
        return Box.between((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def cell_keys(bricks: NDArray[np.int64], paths: NDArray[np.uint64], level: int) -> list[bytes]:
    """The tkeys of cells of one level; as `CELL.key` makes them, many at once."""
    n = len(bricks)
    raw = np.empty((n, TKEY), np.uint8)
    raw[:, 0] = CELL.number
    raw[:, 1:13] = (
        (bricks.astype(np.int32, order="C").view(np.uint32) ^ _BIAS).astype(">u4").view(np.uint8).reshape(n, 12)
    )
    raw[:, 13:21] = paths.astype(">u8", order="C").view(np.uint8).reshape(n, 8)
    raw[:, 21] = level
    data = raw.tobytes()
    return [data[at : at + TKEY] for at in range(0, n * TKEY, TKEY)]


def children(path: int, level: int) -> list[int]:
    """The paths of the eight cells of the next level inside a cell."""
    shift = TOP - 3 * (level + 1)
    return [path | octant << shift for octant in range(8)]


def inside(brick: Sequence[int], path: int = 0, level: int = 0) -> tuple[bytes, bytes]:
    """The range of the tkeys of a cell and all finer ones inside it."""
    start = CELL.key(tuple(brick), path, level)
    last = path + (1 << (TOP - 3 * level)) - 1
    return start, CELL.key(tuple(brick), last, 255) + b"\x00"
