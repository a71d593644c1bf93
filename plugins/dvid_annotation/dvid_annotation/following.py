"""Keeping the lists of labels right when labels change.

Events are hints: what is done is to look at the lists, or the elements in blocks, that an event may concern, and to
file each element under the body that it has now.  So an event may be handled late, twice, or after a name was used
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import Event, Mutation
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.label_events import (
    BodiesMerged,
    BodyCleaved,
    BodyRenumbered,
    BodySplit,
    LabelsAt,
    SupervoxelsMapped,
    SupervoxelSplit,
    VoxelsWritten,
    unpack_labels,
)

from .cells import Cells
from .elements import kinds_of
from .filing import Filing, Labels
from .grid import Grid
from .keys import FILED, behind
from .placing import INLINE, columns, filed, look_up
from .rechecking import Recheck, settle
from .rows import all_records

BLOCKS = 512
"""Written blocks that are looked at together, fewer where they have more than so many bytes of elements:"""

BYTES = 4 << 20

NAMED = 10_000
"""Supervoxels of a mapping that are looked up one by one; of more, all that have elements are looked at."""


class Written(msgspec.Struct, frozen=True, tag=True):
    """Blocks of voxels, z, y, x, that were written."""

    blocks: tuple[Triple, ...]

    async def step(self, m: Mutation, peer: LabelsAt, grid: Grid, budget: int | None) -> tuple[Written | None, int]:
        """Look at the elements in some of the blocks; gives what is left to do, and how many bytes it looked at."""
        seen, at, count = 0, 0, BLOCKS
        while at < len(self.blocks):
            if budget is not None and seen >= budget:
                return Written(self.blocks[at:]), seen
            some = self.blocks[at : at + count]
            cells = Cells(m, grid)
            wanted = set(some)
            keys = await cells.within(_places(wanted, peer.block, grid))
            weight = sum(len(cells.values[key] or b"") for key in keys)
            if weight > BYTES and count > 1:
                count = max(1, count // 4)
                continue
            if keys:
                await self._portion(m, peer, grid, wanted, cells, keys)
            seen += weight
            at += len(some)
        return None, seen

    async def _portion(
        self, m: Mutation, peer: LabelsAt, grid: Grid, wanted: set[Triple], cells: Cells, keys: list[bytes]
    ) -> None:
        records = all_records([cells.values[key] or b"" for key in keys])
        there = records["position"] // np.array(peer.block)
        inside = np.array([tuple(at) in wanted for at in there.tolist()], bool)
        if not inside.any():
            return
        place = await look_up(peer, records["position"][inside])
        old = records[inside]
        other = (place.supervoxels != old["supervoxel"]) | ((place.labels != 0) & (old["label_segment"] == 0))
        noted = await settle(m, peer, grid, place, whole=True)
        filing = Filing(m)
        filing.file(noted)
        if other.any():
            # What `settle` moved is under another label by now, and its cells may have been changed.
            fresh = dict(
                zip(map(tuple, old["position"][other].tolist()), zip(place.supervoxels[other], place.labels[other]))
            )
            await self._refile(m, filing, grid, fresh)
        await filing.stage()

    async def _refile(self, m: Mutation, filing: Filing, grid: Grid, fresh: dict[Any, Any]) -> None:
        cells = Cells(m, grid)
        keys = list(dict.fromkeys(await cells.load(np.array(list(fresh), np.int32))))
        items = [i for key in keys for i in cells.items(key) if i.position in fresh]
        filing.take_out(items, await filed(m, (i.supervoxel for i in items)), tags=False)
        positions, shown = columns(items)
        supervoxels: Labels = np.array([fresh[i.position][0] for i in items], np.uint64)
        labels: Labels = np.array([fresh[i.position][1] for i in items], np.uint64)
        kinds = kinds_of(shown)
        work = (labels, supervoxels, positions, kinds, shown)
        if len(items) > INLINE:
            segments = await m.view.run(filing.list_under_labels, *work)
        else:
            segments = filing.list_under_labels(*work)
        new = dict(zip((i.position for i in items), zip(supervoxels.tolist(), segments.tolist())))
        for key in keys:
            cells.change(
                key,
                [
                    i._replace(supervoxel=new[i.position][0], label_segment=new[i.position][1])
                    if i.position in new
                    else i
                    for i in cells.items(key)
                ],
            )
        cells.stage(m)


class Refiled(msgspec.Struct, frozen=True, tag=True):
    """All supervoxels that have elements."""

    after: bytes = b""

    async def step(self, m: Mutation, peer: LabelsAt, grid: Grid, budget: int | None) -> tuple[Refiled | None, int]:
        """Look at the supervoxels in turn, and at the lists of those whose body is another now; as the others do."""
        start, stop = FILED.all()
        seen = 0
        async for page in m.view.scan_keys(max(start, self.after), stop):
            values = await m.get_many(page)
            pairs = {
                int(FILED.unpack(key)[0]): int.from_bytes(value, "little")
                for key, value in zip(page, values)
                if value is not None
            }
            seen += await _recheck_moved(m, peer, grid, pairs) + 32 * len(pairs)
            if budget is not None and seen >= budget:
                return Refiled(behind(page[-1])), seen
        return None, seen


Task: TypeAlias = Recheck | Written | Refiled


async def _recheck_moved(m: Mutation, peer: LabelsAt, grid: Grid, pairs: dict[int, int]) -> int:
    """Look at the lists of those supervoxels that are filed under another label than they have."""
    moved = await _moved(peer, pairs)
    seen = 0
    for label, some in moved.items():
        seen += (await Recheck(label, only=some).step(m, peer, grid, None))[1]
    return seen


async def _moved(peer: LabelsAt, pairs: dict[int, int]) -> dict[int, tuple[int, ...]]:
    """Of supervoxels and the labels they are filed under, those that have another body now, by these labels."""
    if not pairs:
        return {}
    supervoxels = np.array(list(pairs), np.uint64)
    bodies = await peer.bodies_of(supervoxels)
    lists: dict[int, list[int]] = {}
    for (supervoxel, label), body in zip(pairs.items(), bodies.tolist()):
        if label != body:
            lists.setdefault(label, []).append(supervoxel)
    return {label: tuple(some) for label, some in lists.items()}


async def tasks_of(m: Mutation, peer: LabelsAt, event: Event) -> list[Task]:
    """What is to be looked at because of an event."""
    match event:
        case VoxelsWritten():
            return [Written(event.blocks)]
        case BodiesMerged():
            merged = tuple(unpack_labels(event.merged).tolist())
            return [Recheck(label, gone=merged) for label in merged if label]
        case BodyCleaved():
            return [Recheck(event.body)]
        case BodyRenumbered():
            return [Recheck(event.old, gone=(event.old,))]
        case BodySplit():
            return [Recheck(event.body, points=True)]
        case SupervoxelSplit():
            label = (await filed(m, [event.supervoxel])).get(event.supervoxel)
            return [Recheck(label, only=(event.supervoxel,), points=True)] if label else []
        case SupervoxelsMapped():
            named = unpack_labels(event.supervoxels)
            if not len(named):
                named = await peer.mapped_by(event.mutation)
            if len(named) > NAMED:
                return [Refiled()]
            moved = await _moved(peer, await filed(m, named.tolist()))
            return [Recheck(label, only=some) for label, some in moved.items()]
    return []


def _places(blocks: Iterable[Triple], block: Triple, grid: Grid) -> NDArray[np.int64]:
    """A position in each brick that these blocks of voxels touch."""
    corners: set[tuple[int, ...]] = set()
    for at in blocks:
        corners.update(Box(at, (1, 1, 1)).voxels(block).blocks(grid.brick).points())
    places: NDArray[np.int64] = np.array(sorted(corners), np.int64).reshape(-1, 3) * np.array(grid.brick)
    return places
