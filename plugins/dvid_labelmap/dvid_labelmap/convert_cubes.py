"""A volume of labels of any block size, cube by cube of the blocks of a labelmap.

A cube is 4 x 4 x 4 blocks of the labelmap, so that it has whole blocks of two lower scales.  Cubes come in order of
their coordinates z, y, x; a *slab* is all those of one z.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from dvid_voxels import labels
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.label_events import LabelBlocks
from dvid_voxels.volume import Stored

CUBE = 4
"""Blocks along each side of a cube."""

HELD = 128 << 20
"""Bytes of blocks of the source that are kept from the time when they are listed; others are read again."""

NAMED = 64
"""Blocks of the source that are asked for at a time."""

FAR = 2**30
"""Beyond all blocks."""


class Cube(msgspec.Struct, frozen=True):
    """Blocks of the labelmap that the source has voxels in, or blocks, and those blocks of the source."""

    at: Triple
    part: float
    """How much of its slab comes before it, 0 to 1."""
    names: list[Triple]
    """Blocks of the labelmap, z, y, x, ascending."""
    found: list[tuple[Triple, bytes]]
    """Label blocks of the source."""


class Cubes:
    """All cubes of a source."""

    def __init__(self, source: LabelBlocks, size: Triple) -> None:
        """`size` is that of the labelmap's blocks, z, y, x."""
        self.source, self.size = source, size
        self.theirs = source.block
        self._held: dict[Triple, bytes] = {}
        self._nbytes = 0

    @property
    def depth(self) -> int:
        """Voxels of a slab along z."""
        return CUBE * self.size[0]

    async def cubes(self, after: Triple | None = None) -> AsyncIterator[Cube]:
        """Those behind the cube `after`, or all."""
        first = None
        if after is not None:
            first = (after[0] * self.depth // self.theirs[0] - 1, FAR, FAR)
        waiting: dict[int, list[Triple]] = {}
        async for page in self.source.pages(first):
            for name, block in page:
                low = name[0] * self.theirs[0]
                for slab in [s for s in sorted(waiting) if (s + 1) * self.depth <= low]:
                    async for cube in self._of_slab(slab, waiting.pop(slab), after):
                        yield cube
                for slab in range(low // self.depth, (low + self.theirs[0] - 1) // self.depth + 1):
                    if after is None or slab >= after[0]:
                        waiting.setdefault(slab, []).append(name)
                if self._nbytes + len(block) <= HELD:
                    self._held[name] = block
                    self._nbytes += len(block)
        for slab in sorted(waiting):
            async for cube in self._of_slab(slab, waiting[slab], after):
                yield cube

    async def _of_slab(self, slab: int, names: Sequence[Triple], after: Triple | None) -> AsyncIterator[Cube]:
        """The cubes of one slab, of which these are the source's blocks."""
        cubes: dict[Triple, tuple[set[Triple], set[Triple]]] = {}
        for name in names:
            box = Box(name, (1, 1, 1)).voxels(self.theirs).blocks(self.size)
            for target in box.points():
                if target[0] // CUBE == slab:
                    own, theirs = cubes.setdefault(cube_of(target), (set(), set()))
                    own.add(target)
                    theirs.add(name)
        order = [at for at in sorted(cubes) if after is None or at > after]
        for n, at in enumerate(order):
            own, theirs = cubes[at]
            yield Cube(at, n / len(order), sorted(own), await self._blocks(sorted(theirs)))
        # Blocks that reach into the next slab are read again there.
        for name in names:
            block = self._held.pop(name, None)
            self._nbytes -= 0 if block is None else len(block)

    async def _blocks(self, names: Sequence[Triple]) -> list[tuple[Triple, bytes]]:
        found = [(name, self._held[name]) for name in names if name in self._held]
        rest = [name for name in names if name not in self._held]
        for at in range(0, len(rest), NAMED):
            found += await self.source.named(rest[at : at + NAMED])
        return found


def cube_of(block: Triple) -> Triple:
    """The cube that has a block of the labelmap."""
    z, y, x = block
    return z // CUBE, y // CUBE, x // CUBE


def regrouped(names: Sequence[Triple], found: Sequence[Stored], theirs: Triple, size: Triple) -> list[bytes]:
    """A kernel: label blocks of `size` out of those of size `theirs`; 0 where there is none."""
    if theirs == size:
        by_name = dict(found)
        return [bytes(by_name[name]) for name in names]
    wanted = {near for name in names for near in Box(name, (1, 1, 1)).voxels(size).blocks(theirs).points()}
    blocks = labels.Blocks.of([(name, block) for name, block in found if name in wanted], theirs)
    return [labels.encode(labels.assemble(blocks, Box(name, (1, 1, 1)).voxels(size))) for name in names]
