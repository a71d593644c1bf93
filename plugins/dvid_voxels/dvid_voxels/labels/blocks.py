"""Many label blocks of one scale, laid side by side for kernels that read them together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Triple
from .form import HEAD, BadBlock, Buffer, grid_of, table
from .loading import kernels

Longs = NDArray[np.int64]

PAD = 16
"""Kernels load 8 bytes at a time, up to so many behind what they need."""

_WHY = {
    1: "a label block of another size",
    2: "a label block that ends within its head",
    3: "a label block whose length is not what its sub-blocks need",
    4: "a sub-block with more than 512 labels",
    5: "a label index behind the end of the label table",
    6: "a voxel whose value is behind the end of its sub-block's labels",
}


def refuse(code: int, number: int, where: str = "") -> None:
    """Raise `BadBlock` for what a kernel found wrong."""
    if code:
        raise BadBlock(f"{where}{_WHY[code]}")


def padded(block: Buffer) -> NDArray[np.uint8]:
    """A copy with room behind it that kernels may read."""
    return np.frombuffer(b"".join((block, bytes(PAD))), np.uint8)


class Blocks:
    """Label blocks with their block coordinates, in one buffer.  A value: `mapped` makes another.

    Read by `assemble`, `lz4_of`, `google`, `runs` and the methods below; all take parts of a box that have no block as
    label 0.
    """

    def __init__(self, size: Triple, at: Longs, data: NDArray[np.uint8], starts: Longs, sizes: Longs) -> None:
        """For `of` and `mapped` only."""
        self.size = size
        """Voxels of each block, z, y, x."""
        self.grid = grid_of(size)
        self.at = at
        """Block coordinates, (n, 3) of z, y, x, ascending."""
        self.data, self.starts, self.sizes = data, starts, sizes
        self._laid: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, found: Iterable[tuple[Triple, Buffer]], size: Triple) -> Blocks:
        """Blocks at block coordinates (z, y, x), any order; of one coordinate's blocks the last counts.

        Every block has `size` (z, y, x) voxels.  Raises `BadBlock` where a head or a table is wrong; the rest is looked
        at when it is read.
        """
        grid_of(size)
        by_place = dict(found)
        places = sorted(by_place)
        parts: list[Buffer] = []
        sizes = np.empty(len(places), np.int64)
        for n, place in enumerate(places):
            block = by_place[place]
            length = memoryview(block).nbytes
            sizes[n] = length
            # Each begins at a multiple of 8, so that tables can be seen as arrays.
            parts += (block, bytes(-length % 8))
        parts.append(bytes(PAD))
        starts = np.zeros(len(places), np.int64)
        np.cumsum(-(-sizes[:-1] // 8) * 8, out=starts[1:])
        at = np.array(places, np.int64).reshape(-1, 3)
        self = cls(size, at, np.frombuffer(b"".join(parts), np.uint8), starts, sizes)
        self._entries  # noqa: B018
        return self
