"""Boxes of voxels, and the blocks they touch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TypeAlias, cast

import msgspec

Triple: TypeAlias = tuple[int, int, int]
"""Three numbers in the order z, y, x."""


class Box(msgspec.Struct, frozen=True):
    """A box of voxels, or of blocks when it says so; `low` is its first corner, `size` its extent, both z, y, x."""

    low: Triple
    size: Triple

    @classmethod
    def between(cls, low: Triple, high: Triple) -> Box:
        """The box with low <= point < high."""
        return cls(low, _triple(h - o for o, h in zip(low, high)))

    @property
    def high(self) -> Triple:
        """The corner behind the last point."""
        return _triple(o + s for o, s in zip(self.low, self.size))

    @property
    def count(self) -> int:
        """Points in it."""
        return math.prod(self.size)

    def blocks(self, block: Triple) -> Box:
        """The box of those blocks, in block coordinates, that this box of voxels touches."""
        low = _triple(o // b for o, b in zip(self.low, block))
        return Box.between(low, _triple(-(-h // b) for h, b in zip(self.high, block)))

    def voxels(self, block: Triple) -> Box:
        """The voxels of this box of blocks."""
        return Box(_triple(o * b for o, b in zip(self.low, block)), _triple(s * b for s, b in zip(self.size, block)))

    def is_aligned(self, block: Triple) -> bool:
        """Whether the box consists of whole blocks."""
        return all(o % b == 0 and s % b == 0 for o, s, b in zip(self.low, self.size, block))

    def common(self, other: Box) -> Box | None:
        """What both have, None when that is nothing."""
        low = _triple(map(max, self.low, other.low))
        high = _triple(map(min, self.high, other.high))
        return Box.between(low, high) if all(a < b for a, b in zip(low, high)) else None

    def contains(self, other: Box) -> bool:
        """Whether all of `other` is in this box."""
        return self.common(other) == other

    def union(self, other: Box) -> Box:
        """The least box that has both."""
        return Box.between(_triple(map(min, self.low, other.low)), _triple(map(max, self.high, other.high)))

    def points(self) -> Iterator[Triple]:
        """All points, x fastest."""
        return cast("Iterator[Triple]", product(*(range(o, o + s) for o, s in zip(self.low, self.size))))

    def slices(self, inside: Box) -> tuple[slice, slice, slice]:
        """Where this box lies in an array that holds the box `inside`."""
        z, y, x = (slice(o - p, o - p + s) for o, s, p in zip(self.low, self.size, inside.low))
        return z, y, x

    def layers(self, block: Triple, depth: int = 1) -> Iterator[Box]:
        """The box cut along z at the faces of blocks, each piece at most `depth` blocks deep, in order."""
        yield from self.cut(0, block[0] * depth)

    def tiles(self, block: Triple, points: int) -> Iterator[Box]:
        """The box cut along y and x at the faces of blocks into pieces of about `points` points, at least one block."""
        z, y, x = self.size
        depth = min(z, block[0])
        wide = block[2] * max(1, points // (depth * min(y, block[1]) * block[2]))
        high = block[1] * max(1, points // (depth * block[1] * min(x, wide)))
        for row in self.cut(1, high):
            yield from row.cut(2, wide)

    def cut(self, axis: int, step: int) -> Iterator[Box]:
        """The box cut along `axis` (0, 1, 2 for z, y, x) at the multiples of `step`, in order."""
        low, high = list(self.low), list(self.high)
        at, end = low[axis], high[axis]
        while at < end:
            stop = min(end, (at // step + 1) * step)
            low[axis], high[axis] = at, stop
            yield Box.between(_triple(low), _triple(high))
            at = stop


def _triple(numbers: object) -> Triple:
    return cast("Triple", tuple(numbers))  # type: ignore[arg-type]
