"""The parts in which a volume is sent: boxes of whole blocks, one request each."""

from __future__ import annotations

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


class Plan(msgspec.Struct, frozen=True):
    """How a source of `size` (z, y, x) goes to `low`, in voxels of `kind`."""

    low: Triple
    size: Triple
    block: Triple
    kind: str
    sections: bool
    whole_blocks: bool
    """Whether the instance takes whole blocks only: those at the faces are filled up with 0."""

    @property
    def box(self) -> Box:
        """Where the source comes to lie."""
        return Box(self.low, self.size)

    @property
    def slabs(self) -> list[Box]:
        """In order; within `box` unless whole blocks are sent."""
        itemsize = item_of(self.kind).itemsize
        box = self.box.blocks(self.block).voxels(self.block) if self.whole_blocks else self.box
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
        z, y, x = slab.size
        section = y * x * item_of(self.kind).itemsize
        depth = max(1, PIECE // section) if self.sections else z
        for part in slab.cut(0, depth):
            yield self._piece(source, part)

    def _piece(self, source: Source, part: Box) -> Array:
        inside = part.common(self.box)
        if inside is not None:
            here = Box(tuple(a - b for a, b in zip(inside.low, self.low)), inside.size)  # type: ignore[arg-type]
            voxels = fitted(source.read(here), self.kind)
            if inside == part:
                return voxels
        out = np.zeros(part.size, item_of(self.kind))
        if inside is not None:
            out[inside.slices(part)] = voxels
        return out


def _strips(box: Box, block: Triple, points: int) -> Iterator[Box]:
    """A box in parts of about `points` voxels: cut along y first, so that rows stay whole if they can."""
    return iter([box]) if box.count <= points else box.tiles(block, points)
