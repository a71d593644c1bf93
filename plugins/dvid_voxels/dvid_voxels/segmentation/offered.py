"""What label volumes offer other datatypes, see `dvid_voxels.label_events`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvid_core import View

from ..geometry import Triple
from ..volume import Stored
from .body import Labels
from .index import sizes_of
from .keys import BLOCK
from .volume import BATCH, Bodies, Unpacker, batches, together

if TYPE_CHECKING:
    from .instance import Segmentation


class StoredBlocks:
    """A label volume as `LabelBlocks`."""

    def __init__(self, instance: Segmentation, view: View) -> None:
        self._instance, self._view = instance, view

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        return self._instance.settings.block

    async def pages(self, after: Triple | None = None) -> AsyncIterator[list[tuple[Triple, bytes]]]:
        """Blocks of scale 0, some dozens at a time, in order of z, y, x."""
        start, stop = BLOCK.all(0)
        if after is not None:
            z, y, x = after
            start = BLOCK.key(0, (z, y, x + 1))
        async for page in self._view.scan_keys(start, stop):
            for some in batches([BLOCK.unpack(tkey)[1] for tkey in page], BATCH):
                found = await self.named(some)
                if found:
                    yield found

    async def named(self, names: Sequence[Triple]) -> list[tuple[Triple, bytes]]:
        """Those of the named blocks that are stored."""
        volume = self._instance.volume(self._view)
        found = await volume.blocks.values(list(names))
        return await self._view.run(_unpacked, found, volume.unpack, volume.seen) if found else []


def _unpacked(found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None) -> list[tuple[Triple, bytes]]:
    if seen is None or seen.empty:
        return [(at, unpack(stored)) for at, stored in found]
    blocks = together(found, unpack, seen)
    return [((z, y, x), blocks[n]) for n, (z, y, x) in enumerate(blocks.at.tolist())]


class PlainLabels:
    """A label volume whose voxels hold bodies as `LabelsAt`."""

    def __init__(self, instance: Segmentation, view: View) -> None:
        self._instance, self._view = instance, view

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        return self._instance.settings.block

    async def labels_at(self, points: NDArray[np.int64], *, supervoxels: bool = False) -> Labels:
        """The label at each voxel."""
        return await self._instance.volume(self._view).at_points(points)

    async def bodies_of(self, supervoxels: Labels) -> Labels:
        """Each label is its own body."""
        return supervoxels

    async def supervoxels_of(self, body: int) -> Labels | None:
        """The label itself; None when an index says that there is none."""
        if self._instance.settings.IndexedLabels and not (await sizes_of(self._view, [body]))[0]:
            return None
        return np.array([body], np.uint64)

    async def mapped_by(self, mutation: int) -> Labels:
        """Nothing is ever mapped."""
        return np.empty(0, np.uint64)
