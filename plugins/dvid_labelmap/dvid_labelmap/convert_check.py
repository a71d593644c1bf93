"""`Check`: whether a labelmap holds what the source of its conversion holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dvid_core import View
from dvid_voxels import labels
from dvid_voxels.geometry import Triple
from dvid_voxels.segmentation.body import Labels
from dvid_voxels.segmentation.index import sizes_of
from dvid_voxels.segmentation.ingest import SHARE
from dvid_voxels.segmentation.keys import BLOCK, BODY
from dvid_voxels.segmentation.volume import BATCH, Unpacker, batches
from dvid_voxels.volume import Stored

from .asking import labelmap_of
from .convert_cubes import CUBE, FAR, Cube, Cubes, regrouped
from .convert_record import SHOWN, Report

SOME = 4096
"""Labels that are looked at together."""

LOOSE = 1 << 20
"""Counts that are added up at a time."""


class Totals:
    """Voxels by label."""

    def __init__(self) -> None:
        self._labels: list[Labels] = []
        self._voxels: list[NDArray[np.uint64]] = []
        self._loose = 0

    def add(self, found: Labels, voxels: NDArray[np.uint64]) -> None:
        """Count some; a label may come several times."""
        self._labels.append(found)
        self._voxels.append(voxels)
        self._loose += len(found)

    @property
    def is_loose(self) -> bool:
        """Whether it is time to add them up."""
        return self._loose > LOOSE

    def tidy(self) -> tuple[Labels, NDArray[np.uint64]]:
        """A kernel: all labels, ascending, and their voxels."""
        if not self._labels:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        known, place = np.unique(np.concatenate(self._labels), return_inverse=True)
        voxels = np.zeros(len(known), np.uint64)
        np.add.at(voxels, place, np.concatenate(self._voxels))
        self._labels, self._voxels, self._loose = [known], [voxels], 0
        return known, voxels


class Check:
    """Looks at cube after cube, then at the indices."""

    def __init__(self, view: View, cubes: Cubes) -> None:
        self._view, self._cubes = view, cubes
        self._instance = labelmap_of(view)
        self._totals = Totals()
        self._blocks = self._different = self._labels = 0
        self._examples: list[str] = []
        self._slab: int | None = None
        self._seen: set[Triple] = set()

    async def look_at(self, cube: Cube) -> None:
        """Compare the voxels of one cube; they come in order."""
        if cube.at[0] != self._slab:
            await self._close_slab(cube.at[0])
        self._seen.update(cube.names)
        view, cubes = self._view, self._cubes
        have = dict(await self._instance.volume(view, supervoxels=True).blocks.values(cube.names))
        parts = [cube.names[at : at + SHARE] for at in range(0, len(cube.names), SHARE)]
        differ = await asyncio.gather(
            *(view.run(_different, part, cube.found, cubes, [have.get(name) for name in part]) for part in parts)
        )
        for name in (name for part in differ for name in part):
            self._tell_block(name)
        own = [(name, block) for name, block in cube.found if self._is_first(name, cube)]
        self._blocks += len(own)
        self._totals.add(*await view.run(_counted, [block for _, block in own]))
        if self._totals.is_loose:
            await view.run(self._totals.tidy)

    def _is_first(self, name: Triple, cube: Cube) -> bool:
        """Whether a block of the source begins in a cube, so that it is counted once."""
        low = (n * side // own // CUBE for n, side, own in zip(name, self._cubes.theirs, self._cubes.size))
        return tuple(low) == cube.at

    async def _close_slab(self, coming: int | None) -> None:
        """Look for blocks that the source does not have, up to the slab that comes."""
        low = -FAR if self._slab is None else CUBE * self._slab
        high = FAR if coming is None else CUBE * coming
        async for page in self._view.scan_keys(BLOCK.key(0, (low, -FAR, -FAR)), BLOCK.key(0, (high, -FAR, -FAR))):
            rest = [at for at in (BLOCK.unpack(tkey)[1] for tkey in page) if at not in self._seen]
            for names in batches(rest, BATCH):
                found = await self._instance.volume(self._view, supervoxels=True).blocks.values(names)
                for name in await self._view.run(_not_empty, found, self._cubes.size):
                    self._tell_block(name)
        self._slab, self._seen = coming, set()

    def _tell_block(self, name: Triple) -> None:
        self._different += 1
        z, y, x = name
        self._tell(f"block {x}, {y}, {z} holds other voxels than the source")

    def _tell(self, text: str) -> None:
        if len(self._examples) < SHOWN:
            self._examples.append(text)

    async def end(self) -> Report:
        """What was found."""
        await self._close_slab(None)
        known, voxels = await self._view.run(self._totals.tidy)
        keep = known > 0
        known, voxels = known[keep], voxels[keep]
        if self._instance.settings.IndexedLabels:
            await self._compare_indices(known, voxels)
        return Report(
            blocks=self._blocks,
            labels=len(known),
            voxels=int(voxels.sum()),
            different_blocks=self._different,
            different_labels=self._labels,
            examples=tuple(self._examples),
        )

    async def _compare_indices(self, known: Labels, voxels: NDArray[np.uint64]) -> None:
        """Compare the voxels of each label with what its index says, and look for indices of other labels."""
        seen = self._instance.seen(self._view)
        if not seen.empty:
            totals = Totals()
            totals.add(await self._view.run(seen.bodies, known), voxels)
            known, voxels = await self._view.run(totals.tidy)
        for at in range(0, len(known), SOME):
            some = known[at : at + SOME].tolist()
            sizes = await sizes_of(self._view, some)
            for label, wanted, size in zip(some, voxels[at : at + SOME].tolist(), sizes):
                if wanted != size:
                    self._labels += 1
                    self._tell(f"label {label} has {wanted} voxels in the source, {size} by its index")
        async for page in self._view.scan_keys(*BODY.all()):
            named = np.array([BODY.unpack(tkey)[0] for tkey in page], np.uint64)
            for label in named[~np.isin(named, known)].tolist():
                self._labels += 1
                self._tell(f"label {label} has an index, but no voxels in the source")


def _different(
    names: Sequence[Triple], found: Sequence[Stored], cubes: Cubes, have: Sequence[bytes | memoryview | None]
) -> list[Triple]:
    """A kernel: the blocks whose voxels are not those of the source."""
    unpack = Unpacker(cubes.size)
    out = []
    for name, block, stored in zip(names, regrouped(names, found, cubes.theirs, cubes.size), have):
        own = labels.zero(cubes.size) if stored is None else unpack(stored)
        if own != block and not np.array_equal(labels.decode(own, cubes.size), labels.decode(block, cubes.size)):
            out.append(name)
    return out


def _not_empty(found: Sequence[Stored], size: Triple) -> list[Triple]:
    """A kernel: the blocks that have a label."""
    unpack = Unpacker(size)
    return [at for at, stored in found if labels.counts(unpack(stored)).labels.any()]


def _counted(blocks: Sequence[bytes]) -> tuple[Labels, NDArray[np.uint64]]:
    """A kernel: the voxels of the labels of blocks."""
    found = [labels.counts(block) for block in blocks]
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    return np.concatenate([c.labels for c in found]), np.concatenate([c.voxels for c in found]).astype(np.uint64)
