"""Undo: the contrary of an edit, as an edit of its own."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import numpy as np

from dvid_core import BadRequest, View
from dvid_voxels.label_events import (
    BodiesMerged,
    BodyCleaved,
    BodyRenumbered,
    SupervoxelsMapped,
    VoxelsWritten,
    pack_labels,
)
from dvid_voxels.segmentation.body import Body, Labels, Rows, join_rows, parts
from dvid_voxels.segmentation.finishing import finished
from dvid_voxels.segmentation.index import join_bodies, off_loop, rows_of_supervoxel
from dvid_voxels.segmentation.pyramid import Pyramid

from .cutting import blocks_of, mend, rework
from .draft import Draft, perform, told
from .journal import Cut, Entry, Move, entries_of, move_of, touched
from .split import mark_scales, with_parts

TOGETHER = 512
"""Blocks that one event names."""


class Undone(NamedTuple):
    """What was undone."""

    mutation: int
    undoes: int
    kind: str


async def undo(view: View, label: int) -> Undone:
    """Undo the last edit of a body that was not undone yet.  Raises `BadRequest`."""
    entry = await last_edit(view, label)
    if entry is None:
        raise BadRequest(f"label: no edit of body {label} at version {view.uuid} can be undone")
    bodies = {m.source for m in entry.moves} | {m.target for m in entry.moves} | {c.body for c in entry.cuts}

    async def change(draft: Draft) -> Pyramid | None:
        now = await last_edit(view, label)
        if now is None or now.mutation != entry.mutation:
            raise BadRequest(f"body {label} was edited meanwhile; try again")
        await draft.load(bodies)
        for (_, made), moves in groupby(reversed(entry.moves), lambda move: (move.target, move.made)):
            if made:
                for move in moves:
                    await move_back(draft, move, entry)
                    await draft.breathe()
            else:
                await move_out(draft, list(moves), entry)
        return await mend_all(draft, entry) if entry.cuts else None

    done = await finished(view, perform(view, "undo", change, [label, *bodies], undoes=entry.mutation))
    return Undone(done, entry.mutation, entry.kind)


async def last_edit(view: View, label: int) -> Entry | None:
    """The last edit of a body that neither undoes another nor was undone."""
    undone: set[int] = set()
    async for mutation in touched(view, label):
        if mutation in undone:
            continue
        [entry] = await entries_of(view, [mutation])
        if not entry.undoes:
            return entry
        undone.add(entry.undoes)
    return None


def changed(what: str, entry: Entry) -> BadRequest:
    """The refusal."""
    return BadRequest(f"{entry.kind} {entry.mutation} cannot be undone: {what}; undo later edits first")


async def move_out(draft: Draft, moves: list[Move], entry: Entry) -> None:
    """Give supervoxels back to bodies that became part of another one, and that are there no more."""
    label, mutation = moves[0].target, draft.m.id
    for move in moves:
        if (await draft.find(move.source) is None) != move.emptied:
            raise changed(f"there is {'a' if move.emptied else 'no'} body {move.source} now", entry)
    target = await draft.find(label)
    if target is None:
        raise changed(f"there is no body {label} any more", entry)
    groups = [np.sort(move.supervoxels) for move in moves]
    rest, taken = await off_loop(draft.view, target.entries, _parted, target, groups, label, entry)
    draft.put(label, rest)
    remain = target.voxels
    for move, group, body in zip(moves, groups, taken):
        draft.put(move.source, body)
        draft.map(group, move.source)
        draft.events.append(BodyCleaved(mutation, label, move.source, told(group)))
        remain -= body.voxels
        draft.show(
            "cleave-complete", OrigLabel=label, CleavedLabel=move.source, CleavedSupervoxels=group.tolist(),
            CleavedSize=body.voxels, RemainSize=remain, Undone=entry.mutation,
        )  # fmt: skip
        draft.moves.append(move_of(label, move.source, group, emptied=False, made=True))
        await draft.breathe()


def _parted(target: Body, groups: list[Labels], label: int, entry: Entry) -> tuple[Body, list[Body]]:
    if not np.isin(np.concatenate(groups), target.supervoxels).all():
        raise changed(f"body {label} lost supervoxels", entry)
    rest, taken = parts(target, groups)
    if rest.empty:
        raise changed(f"body {label} has no other supervoxels any more", entry)
    return rest, taken


async def move_back(draft: Draft, move: Move, entry: Entry) -> None:
    """Give all of a body back to the one that it was cleaved from, or its old name."""
    wanted, undone = np.sort(move.supervoxels), {"Undone": entry.mutation}
    target, source = await draft.find(move.target), await draft.find(move.source)
    if target is None:
        raise changed(f"there is no body {move.target} any more", entry)
    if (source is None) != move.emptied:
        raise changed(f"there is {'a' if move.emptied else 'no'} body {move.source} now", entry)
    if not np.array_equal(await draft.supervoxels(target), wanted):
        raise changed(f"body {move.target} has other supervoxels than after it", entry)
    mutation = draft.m.id
    draft.put(move.target, None)
    draft.map(wanted, move.source)
    draft.moves.append(move_of(move.target, move.source, wanted, emptied=True, made=move.emptied))
    if source is None:
        draft.put(move.source, target)
        draft.events.append(BodyRenumbered(mutation, move.target, move.source))
        draft.show("renumber-complete", OrigLabel=move.target, NewLabel=move.source, **undone)
    else:
        draft.put(move.source, await join_bodies(draft.m, [source, target]))
        draft.events.append(BodiesMerged(mutation, move.source, pack_labels([move.target])))
        draft.show("merge-complete", Target=move.source, Labels=[move.target], **undone)


async def mend_all(draft: Draft, entry: Entry) -> Pyramid | None:
    """Put the parts of supervoxels together again."""
    whole: list[Rows] = []
    body = await draft.body(entry.cuts[0].body)
    for cut in entry.cuts:
        whole.append(await whole_of(draft, body, cut, entry))
    at = blocks_of(join_rows(whole))
    parts: dict[int, int] = {}
    for cut in entry.cuts:
        parts |= {cut.split: cut.supervoxel, cut.remain: cut.supervoxel}
    await rework(draft, at, {}, mend(parts))
    gone = np.array(sorted(parts), np.uint64)
    draft.put(entry.cuts[0].body, await with_parts(draft, body, gone, join_rows(whole)))
    draft.map(gone, 0)
    named: list[int] = []
    for cut in entry.cuts:
        draft.map(np.array([cut.supervoxel], np.uint64), cut.body)
        draft.show(
            "undo-split-supervoxel-complete", Supervoxel=cut.supervoxel, Body=cut.body, SplitSupervoxel=cut.split,
            RemainSupervoxel=cut.remain, Undone=entry.mutation,
        )  # fmt: skip
        named += [cut.supervoxel, cut.split, cut.remain]
        back = [[draft.m.id, part, cut.supervoxel, cut.supervoxel] for part in (cut.split, cut.remain)]
        draft.payload.setdefault("splits", []).extend(back)
    draft.payload["mended"] = entry.mutation
    draft.events.append(SupervoxelsMapped(draft.m.id, pack_labels(named)))
    draft.events += [VoxelsWritten(tuple(at[n : n + TOGETHER])) for n in range(0, len(at), TOGETHER)]
    return mark_scales(draft, at, entry.downres)


async def whole_of(draft: Draft, body: Body, cut: Cut, entry: Entry) -> Rows:
    """The rows of a supervoxel from those of its parts, which must be as the cut left them."""
    rows = []
    for name, size in ((cut.split, cut.split_size), (cut.remain, cut.remain_size)):
        some = await rows_of_supervoxel(draft.m, body, name)
        if some.total != size:
            raise changed(f"supervoxel {name} has other voxels than after it", entry)
        rows.append(some)
    return summed(join_rows(rows), cut.supervoxel)


def summed(rows: Rows, supervoxel: int) -> Rows:
    """Rows of one supervoxel, those of the same block added up."""
    blocks, places = np.unique(rows.blocks, return_inverse=True)
    voxels: Labels = np.zeros(len(blocks), np.uint64)
    np.add.at(voxels, places.reshape(-1), rows.voxels.astype(np.uint64))
    return Rows(blocks, np.full(len(blocks), supervoxel, np.uint64), voxels.astype(np.uint32))
