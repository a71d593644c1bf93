"""The parts in which a volume is sent: boxes of whole blocks, one request each."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from ..geometry import Box, Triple
from .source import Array, Source, fitted, item_of

SLAB = 64 << 20
"""Bytes of voxels of a slab, unless one block is larger: what is sent again when the connection breaks."""

STRIP = 1 << 30
"""The same where sections are read whole: each section is read once for every strip that it is cut into."""

PIECE = 8 << 20
"""Bytes of voxels that are read at a time from sections, unless one section of the slab is larger."""

CUBE = 128 << 20
"""Bytes of the largest slab of labels: a cube, so that most blocks of lower scales are computed once."""

LABEL_STRIP = 512 << 20
"""The same where sections are read whole."""


class Plan(msgspec.Struct, frozen=True):
    """How a source of `size` (z, y, x) goes to `low`, in voxels of `kind`."""

    low: Triple
    size: Triple
    block: Triple
    kind: str
    sections: bool
    whole_blocks: bool
    """Whether the instance takes whole blocks only: those at the faces are filled up."""

    @property
    def box(self) -> Box:
        """Where the source comes to lie."""
        return Box(self.low, self.size)

    @property
    def slabs(self) -> list[Box]:
        """In order; within `box` unless whole blocks are sent."""
        itemsize = item_of(self.kind).itemsize
        if self.whole_blocks:
            box = self.box.blocks(self.block).voxels(self.block)
            if not self.sections:
                return list(_cubes(box, self.block, CUBE // itemsize))
            points = LABEL_STRIP // itemsize
            return [slab for part in box.layers(self.block) for slab in _strips(part, self.block, points)]
        box = self.box
        z, y, x = box.size
        layer = min(z, self.block[0]) * y * x * itemsize
        depth = max(1, SLAB // layer)
        points = (STRIP if self.sections else SLAB) // itemsize
        return [slab for part in box.layers(self.block, depth) for slab in _strips(part, self.block, points)]

    def nbytes(self, slab: Box) -> int:
        """Bytes of the voxels of a slab."""
        return slab.count * item_of(self.kind).itemsize

    def pieces(self, source: Source, slab: Box) -> Iterator[Array]:
        """The voxels of a slab, in order, as items of `kind`; layer by layer if the source lies in sections."""
        for part in self._parts(slab):
            inside = part.common(self.box)
            if inside == part:
                yield self._read(source, part)
                continue
            out = np.zeros(part.size, item_of(self.kind))
            if inside is not None:
                out[inside.slices(part)] = self._read(source, inside)
            yield out

    def fill(self, source: Source, slab: Box, out: Array) -> None:
        """Write what the source has of a slab into `out`, the voxels of the slab."""
        for part in self._parts(slab):
            inside = part.common(self.box)
            if inside is not None:
                out[inside.slices(slab)] = self._read(source, inside)

    def _parts(self, slab: Box) -> Iterator[Box]:
        """What is read at a time."""
        z, y, x = slab.size
        section = y * x * item_of(self.kind).itemsize
        return slab.cut(0, max(1, PIECE // section) if self.sections else z)

    def _read(self, source: Source, part: Box) -> Array:
        here = Box(tuple(a - b for a, b in zip(part.low, self.low)), part.size)  # type: ignore[arg-type]
        return fitted(source.read(here), self.kind)


def _strips(box: Box, block: Triple, points: int) -> Iterator[Box]:
    """A box in parts of about `points` voxels: cut along y first, so that rows stay whole if they can."""
    return iter([box]) if box.count <= points else box.tiles(block, points)


def _cubes(box: Box, block: Triple, points: int) -> Iterator[Box]:
    """A box in cubes of some 2, 4, 8 ... blocks a side, cut where those of lower scales are."""
    side = 1
    while math.prod(block) * (2 * side) ** 3 <= points:
        side *= 2
    for layer in box.cut(0, side * block[0]):
        for row in layer.cut(1, side * block[1]):
            yield from row.cut(2, side * block[2])
