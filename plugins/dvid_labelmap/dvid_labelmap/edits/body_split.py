"""Split of a body: voxels leave it and make up a new body; supervoxels that have some of them are cut in two."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np

from dvid_core import BadRequest, View
from dvid_voxels.label_events import BodySplit, SupervoxelSplit
from dvid_voxels.segmentation.blobs import digest_of, put_blob
from dvid_voxels.segmentation.body import Body, Labels, Rows, join_rows
from dvid_voxels.segmentation.finishing import finished
from dvid_voxels.segmentation.index import join_bodies, read_bodies, rows_of_supervoxel
from dvid_voxels.segmentation.keys import BLOCK
from dvid_voxels.segmentation.pyramid import Pyramid

from ..asking import labelmap_of
from .cutting import GROUP, Shape, blocks_of, cut_many, met_by, rework, shape_of
from .draft import Again, Draft, perform
from .journal import Cut, move_of
from .names import check_free, new_labels
from .split import mark_scales, parts_of, told_cut, with_parts

MOST = 10_000
"""Supervoxels that one split cuts."""


async def split_body(view: View, label: int, posted: bytes) -> tuple[int, int]:
    """Cut the voxels of a posted sparse volume off a body; returns the new body and the mutation id."""
    instance = labelmap_of(view)
    body = (await read_bodies(view, [label])).get(label)
    if body is None:
        raise BadRequest(f"label: there is no body {label} at version {view.uuid}")
    shape = await view.run(shape_of, posted, instance.settings.block, body.voxels)
    await instance.moves.settled(view.version, list(shape.pieces))
    found = await supervoxels_under(view, label, body, shape)
    rows = [await rows_of_supervoxel(view, body, n) for n in found.tolist()]
    digest = await view.run(digest_of, shape.runs)
    async with new_labels(view, 1 + 2 * len(found)) as fresh:
        change = partial(_split, label, found, shape, digest, fresh)
        edit = perform(view, "split", change, [label, *fresh], blocks=blocks_of(join_rows(rows)))
        return fresh[0], await finished(view, edit)


async def _split(
    label: int, found: Labels, shape: Shape, digest: bytes, fresh: list[int], draft: Draft
) -> Pyramid | None:
    new, *parts = fresh
    names = {old: (parts[2 * n], parts[2 * n + 1]) for n, old in enumerate(found.tolist())}
    held = await draft.body(label)
    for name in fresh:
        await check_free(draft, name, "label")
    if draft.instance.moves.holds(draft.view.version, shape.pieces):
        raise Again(blocks=shape.pieces)
    if not np.array_equal(await supervoxels_under(draft.view, label, held, shape), found):
        raise BadRequest("the voxels were changed meanwhile; try again")
    before = {old: await rows_of_supervoxel(draft.m, held, old) for old in names}
    at = blocks_of(join_rows(list(before.values())))
    moved = await rework(draft, at, shape.pieces, cut_many(names))
    split, remain = cut_rows(draft, label, before, moved, names)
    rest = await with_parts(draft, held, found, remain)
    if rest.empty:
        raise BadRequest(f"these are all voxels of body {label}; at least one must remain")
    draft.put(label, rest)
    draft.put(new, await join_bodies(draft.m, [Body(rows=split)]))
    cut_off = np.array([s for s, _ in names.values()], np.uint64)
    draft.map(cut_off, new)
    draft.retire(new)
    draft.moves.append(move_of(label, new, cut_off, emptied=False, made=True))
    for cut in draft.cuts:
        touched = tuple(blocks_of(before[cut.supervoxel]))
        draft.events.append(SupervoxelSplit(draft.m.id, cut.supervoxel, cut.split, cut.remain, label, touched))
    draft.events.append(BodySplit(draft.m.id, label, new))
    draft.show(
        "split-complete", Target=label, NewLabel=new, Split=put_blob(draft.m, digest, shape.runs),
        SVSplits={str(old): {"Split": s, "Remain": r} for old, (s, r) in names.items()},
    )  # fmt: skip
    draft.taken = max(fresh)
    return mark_scales(draft, at, True)


async def supervoxels_under(view: View, label: int, body: Body, shape: Shape) -> Labels:
    """The supervoxels that have voxels of a shape.  Raises `BadRequest` when one is not in the body."""
    instance = labelmap_of(view)
    names = list(shape.pieces)
    found = [np.empty(0, np.uint64)]
    for first in range(0, len(names), GROUP):
        some = names[first : first + GROUP]
        stored = await view.get_many([BLOCK.key(0, at) for at in some])
        shares = [slice(n, n + 16) for n in range(0, len(some), 16)]
        try:
            found += await asyncio.gather(
                *(view.run(met_by, stored[s], [shape.pieces[at] for at in some[s]], instance.unpack) for s in shares)
            )
        except ValueError as err:
            raise BadRequest(str(err)) from None
    met = np.unique(np.concatenate(found))
    foreign = met[~np.isin(met, body.supervoxels)]
    if len(foreign):
        raise BadRequest(f"the sparse volume has voxels of supervoxel {foreign[0]}, which is not in body {label}")
    if len(met) > MOST:
        raise BadRequest(f"the sparse volume meets {len(met)} supervoxels; one request can cut {MOST}")
    return met


def cut_rows(
    draft: Draft, label: int, before: dict[int, Rows], moved: Rows, names: dict[int, tuple[int, int]]
) -> tuple[Rows, Rows]:
    """Note all cuts; the rows of what is cut off, and of what remains."""
    off, left = [], []
    for old, (split, remain) in names.items():
        parts = parts_of(before[old], moved.take(moved.supervoxels == old), split, remain)
        here = parts.supervoxels == split
        off.append(parts.take(here))
        left.append(parts.take(~here))
        told_cut(draft, Cut(label, old, split, remain, off[-1].total, left[-1].total))
    return join_rows(off), join_rows(left)
