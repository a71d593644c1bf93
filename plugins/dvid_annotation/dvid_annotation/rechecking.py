"""`Recheck`: a list of a label whose elements may belong to other labels now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import Mutation
from dvid_voxels.label_events import LabelsAt

from .cells import Cells
from .filing import Filing, Labels
from .grid import Grid
from .keys import LABEL, behind
from .placing import Place, bodies_of, filed, look_up
from .segments import Entries, Segment, all_entries, count_of, segment_of

PORTION = 256
"""Segments that are looked at together."""


class Unsettled(Exception):
    """Raised when an edit finds that a supervoxel is filed under a label that it no longer has, and does not hold the
    whole instance, which it needs to move it."""


async def settle(m: Mutation, peer: LabelsAt, grid: Grid, place: Place, *, whole: bool) -> dict[int, int]:
    """Let the supervoxels of `place` be filed under their present bodies; gives what is to be noted of them.

    One that is still filed under another label takes all its elements along: the event that says so is on its way.
    """
    present = dict(zip(place.supervoxels.tolist(), place.labels.tolist()))
    present.pop(0, None)
    before = await filed(m, present)
    moved = {s: label for s, label in before.items() if label != present[s]}
    if moved and not whole:
        raise Unsettled
    lists: dict[int, list[int]] = {}
    for supervoxel, label in moved.items():
        lists.setdefault(label, []).append(supervoxel)
    for label, some in lists.items():
        await Recheck(label, only=tuple(some)).step(m, peer, grid, None)
    return {s: label for s, label in present.items() if label and before.get(s) != label}


class Recheck(msgspec.Struct, frozen=True, tag=True):
    """A list of a label whose elements may belong to others now."""

    label: int
    only: tuple[int, ...] = ()
    """Only elements on these supervoxels; none given: all."""
    points: bool = False
    """The voxels may have other supervoxels than when the elements were filed."""
    gone: tuple[int, ...] = ()
    """Labels that are not to be believed without a look at the voxels."""
    after: bytes = b""
    """The tkey at which it goes on."""

    async def step(self, m: Mutation, peer: LabelsAt, grid: Grid, budget: int | None) -> tuple[Recheck | None, int]:
        """Look at some `budget` bytes of the list; gives what is left to do, and how many it looked at."""
        start, stop = LABEL.all(self.label)
        seen = 0
        keys: list[bytes] = []
        async for page in m.view.scan_keys(max(start, self.after), stop):
            keys += page
            while len(keys) >= PORTION:
                seen += await self._portion(m, peer, grid, keys[:PORTION])
                if budget is not None and seen >= budget:
                    return msgspec.structs.replace(self, after=behind(keys[PORTION - 1])), seen
                del keys[:PORTION]
        if keys:
            seen += await self._portion(m, peer, grid, keys)
        return None, seen

    async def _portion(self, m: Mutation, peer: LabelsAt, grid: Grid, keys: Sequence[bytes]) -> int:
        found = [(k, v) for k, v in zip(keys, await m.get_many(keys)) if v is not None]
        if not found:
            return 0
        joined = all_entries([v for _, v in found])
        supervoxels = joined["supervoxel"].copy()
        targets = await self._targets(peer, joined, supervoxels)
        moves = targets != np.uint64(self.label)
        recut = supervoxels != joined["supervoxel"]
        if moves.any() or recut.any():
            filing = Filing(m)
            await self._move(m, filing, found, joined, supervoxels, targets, moves | recut)
            present = _pairs(supervoxels[moves | recut], targets[moves | recut])
            for supervoxel, label in (await filed(m, present)).items():
                passed_over = label != self.label or (self.only and supervoxel not in self.only)
                if label != present[supervoxel] and passed_over:
                    # What is filed there belongs here as well; the event that says so is on its way.
                    await Recheck(label, only=(supervoxel,)).step(m, peer, grid, None)
            filing.file(present)
            await filing.stage()
            if recut.any():
                await _rename(m, grid, joined["position"][recut], supervoxels[recut])
        return sum(len(value) for _, value in found)

    async def _targets(self, peer: LabelsAt, entries: Entries, supervoxels: Labels) -> Labels:
        """The labels that the elements belong to; `supervoxels` are corrected in place."""
        chosen = supervoxels != 0
        if self.only:
            chosen &= np.isin(supervoxels, np.array(self.only, np.uint64))
        targets = np.full(len(entries), self.label, np.uint64)
        some = np.flatnonzero(chosen)
        if not len(some):
            return targets
        targets[some] = await bodies_of(peer, supervoxels[some])
        doubtful = np.zeros(len(entries), bool)
        doubtful[some] = True
        if not self.points:
            doubtful &= np.isin(targets, np.array([0, *self.gone], np.uint64))
        if doubtful.any():
            place = await look_up(peer, entries["position"][doubtful])
            supervoxels[doubtful], targets[doubtful] = place.supervoxels, place.labels
        return targets

    async def _move(
        self, m: Mutation, filing: Filing, found: list[tuple[bytes, bytes]], joined: Entries, supervoxels: Labels,
        targets: Labels, touched: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Stage the segments as they are to be; elements keep the number of their segment under another label."""
        fresh = joined.copy()
        fresh["supervoxel"] = supervoxels
        own = np.uint64(self.label)
        leaves = targets != own
        filing.changed(own, fresh[leaves], -1)
        filing.changed(targets[leaves & (targets != 0)], fresh[leaves & (targets != 0)], 1)
        counts = [count_of(value) for _, value in found]
        stops = np.cumsum(np.array(counts, np.int64))
        starts = stops - counts
        any_touched = np.logical_or.reduceat(touched, starts)
        lowest, highest = np.minimum.reduceat(targets, starts), np.maximum.reduceat(targets, starts)
        recut = np.logical_or.reduceat(supervoxels != joined["supervoxel"], starts)
        whole = (lowest == highest) & (lowest != own) & ~recut
        parts: dict[bytes, list[bytes | Segment]] = {}
        for n in np.flatnonzero(any_touched).tolist():
            key, value = found[n]
            if whole[n]:
                m.delete(key)
                if lowest[n]:
                    parts.setdefault(_under(int(lowest[n]), key), []).append(value)
                continue
            mine = slice(starts[n], stops[n])
            segment = Segment(fresh[mine], segment_of(value).texts)
            for target in np.unique(targets[mine]).tolist():
                part = segment.part(targets[mine] == np.uint64(target))
                if target == self.label:
                    m.put(key, part.value())
                elif target:
                    parts.setdefault(_under(target, key), []).append(part)
            if own not in targets[mine]:
                m.delete(key)
        wanted = list(parts)
        for key, there in zip(wanted, await m.get_many(wanted)):
            new = parts[key] if there is None else [there, *parts[key]]
            m.put(key, _as_one(new))


def _under(label: int, key: bytes) -> bytes:
    """The tkey of a segment under another label."""
    return key[:1] + label.to_bytes(8, "big") + key[9:]


def _as_one(parts: list[bytes | Segment]) -> bytes:
    """The value of a segment from values or segments."""
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    segments = [segment_of(part) if isinstance(part, bytes) else part for part in parts]
    whole = segments[0]
    for other in segments[1:]:
        whole = whole.joined(other)
    return whole.value()


def _pairs(supervoxels: Labels, labels: Labels) -> Mapping[int, int]:
    pairs = dict(zip(supervoxels.tolist(), labels.tolist()))
    pairs.pop(0, None)
    return pairs


async def _rename(m: Mutation, grid: Grid, positions: NDArray[Any], supervoxels: Labels) -> None:
    """Note other supervoxels in the records of elements."""
    cells = Cells(m, grid)
    keys = await cells.load(positions)
    wanted: dict[bytes, dict[tuple[int, ...], int]] = {}
    for key, position, supervoxel in zip(keys, positions.tolist(), supervoxels.tolist()):
        wanted.setdefault(key, {})[tuple(position)] = supervoxel
    for key, new in wanted.items():
        cells.change(
            key, [i._replace(supervoxel=new[i.position]) if i.position in new else i for i in cells.items(key)]
        )
    cells.stage(m)
