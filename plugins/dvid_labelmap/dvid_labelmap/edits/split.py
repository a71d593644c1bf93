"""Split of a supervoxel: its voxels become those of two new supervoxels of the same body."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from dvid_core import BadRequest, View
from dvid_voxels.label_events import SupervoxelSplit
from dvid_voxels.segmentation.blobs import digest_of, put_blob
from dvid_voxels.segmentation.body import NO_ROWS, Body, Labels, Rows, part
from dvid_voxels.segmentation.finishing import finished
from dvid_voxels.segmentation.index import join_bodies, off_loop, read_bodies, rows_of_supervoxel
from dvid_voxels.segmentation.keys import DIRTY
from dvid_voxels.segmentation.pyramid import Pyramid, touched_parents

from ..asking import labelmap_of
from .cutting import Shape, blocks_of, cut_one, rework, shape_of
from .draft import Draft, perform
from .journal import Cut
from .names import check_free, new_labels


class Halves(NamedTuple):
    """What a supervoxel became."""

    split: int
    remain: int
    mutation: int


async def split_supervoxel(
    view: View, supervoxel: int, posted: bytes, chosen: tuple[int | None, int | None], downres: bool
) -> Halves:
    """Cut the voxels of a posted sparse volume off a supervoxel."""
    body, rows = await find_supervoxel(view, supervoxel)
    shape = await view.run(shape_of, posted, labelmap_of(view).settings.block, rows.total)
    check_inside(shape, rows, supervoxel)
    if chosen[0] is not None and chosen[0] == chosen[1]:
        raise BadRequest("split, remain: the two supervoxels need different names")
    digest = await view.run(digest_of, shape.runs)
    async with new_labels(view, chosen.count(None), chosen) as fresh:
        given = iter(fresh)
        split, remain = (next(given) if name is None else name for name in chosen)
        change = partial(_split, supervoxel, split, remain, shape, digest, fresh, downres)
        edit = perform(view, "split-supervoxel", change, [body, split, remain], blocks=blocks_of(rows))
        return Halves(split, remain, await finished(view, edit))


async def _split(
    supervoxel: int, split: int, remain: int, shape: Shape, digest: bytes, fresh: list[int], downres: bool, draft: Draft
) -> Pyramid | None:
    owner = await owner_of(draft, supervoxel)
    held = await draft.body(owner)
    for name, what in ((split, "split"), (remain, "remain")):
        await check_free(draft, name, what)
    rows = await rows_of_supervoxel(draft.m, held, supervoxel)
    check_inside(shape, rows, supervoxel)
    at = blocks_of(rows)
    moved = await rework(draft, at, shape.pieces, cut_one(supervoxel, split, remain))
    if moved.total >= rows.total:
        raise BadRequest(f"the sparse volume is all of supervoxel {supervoxel}")
    parts = parts_of(rows, moved, split, remain)
    draft.put(owner, await with_parts(draft, held, np.array([supervoxel], np.uint64), parts))
    cut = Cut(owner, supervoxel, split, remain, moved.total, rows.total - moved.total)
    told_cut(draft, cut)
    draft.events.append(SupervoxelSplit(draft.m.id, supervoxel, split, remain, owner, tuple(at)))
    draft.show(
        "split-supervoxel-complete",
        Supervoxel=supervoxel, Body=owner, SplitSupervoxel=split, RemainSupervoxel=remain,
        Split=put_blob(draft.m, digest, shape.runs), SplitSize=cut.split_size, RemainSize=cut.remain_size,
    )  # fmt: skip
    draft.taken, draft.largest = max(fresh, default=0), max(split, remain)
    return mark_scales(draft, at, downres)


async def find_supervoxel(view: View, supervoxel: int) -> tuple[int, Rows]:
    """The body of a supervoxel, and its rows.  Raises `BadRequest` when there is none."""
    body = int(labelmap_of(view).seen(view).bodies(np.array([supervoxel], np.uint64))[0])
    if not body:
        raise BadRequest(f"supervoxel {supervoxel} was split or retired")
    held = (await read_bodies(view, [body])).get(body)
    rows = NO_ROWS if held is None else await rows_of_supervoxel(view, held, supervoxel)
    if not len(rows):
        raise BadRequest(f"there is no supervoxel {supervoxel} at version {view.uuid}")
    return body, rows


async def owner_of(draft: Draft, supervoxel: int) -> int:
    """The body of a supervoxel, locked."""
    owner = int(draft.seen.bodies(np.array([supervoxel], np.uint64))[0])
    if not owner:
        raise BadRequest(f"supervoxel {supervoxel} was split or retired")
    await draft.load([owner])
    return owner


def check_inside(shape: Shape, rows: Rows, supervoxel: int) -> None:
    """Raise `BadRequest` when runs are in blocks without the supervoxel, or too many."""
    if shape.voxels >= rows.total:
        raise BadRequest(f"the sparse volume has {shape.voxels} voxels, supervoxel {supervoxel} only {rows.total}")
    outside = shape.pieces.keys() - set(blocks_of(rows))
    if outside:
        z, y, x = min(outside)
        raise BadRequest(f"the sparse volume has voxels in block {x}, {y}, {z}, supervoxel {supervoxel} has none there")


def parts_of(rows: Rows, moved: Rows, split: int, remain: int) -> Rows:
    """The rows of both parts, from those of the supervoxel and what was cut off in each block."""
    order = np.argsort(moved.blocks)
    blocks, voxels = moved.blocks[order], moved.voxels[order]
    places = np.minimum(np.searchsorted(blocks, rows.blocks), max(len(blocks) - 1, 0))
    cut = np.where(blocks[places] == rows.blocks, voxels[places], 0) if len(blocks) else np.zeros(len(rows), np.int64)
    left = rows.voxels.astype(np.int64) - cut.astype(np.int64)
    if (left < 0).any():
        raise BadRequest("the voxels are not those that the index lists; post the index of the body anew")
    both = Rows(
        np.concatenate([rows.blocks, rows.blocks]),
        np.repeat(np.array([split, remain], np.uint64), len(rows)),
        np.concatenate([cut, left]).astype(np.uint32),
    )
    return both.take(both.voxels > 0).sorted()


async def with_parts(draft: Draft, body: Body, gone: Labels, rows: Rows) -> Body:
    """A body with other supervoxels in the place of some.  Segments of these stay, for reads of the past."""
    rest, _ = await off_loop(draft.view, body.entries, part, body, gone)
    return await join_bodies(draft.m, [rest, Body(rows=rows)])


def told_cut(draft: Draft, cut: Cut) -> None:
    """Note a cut in the mapping, the journal and the list of splits."""
    draft.map(np.array([cut.split, cut.remain], np.uint64), cut.body)
    draft.map(np.array([cut.supervoxel], np.uint64), 0)
    draft.cuts.append(cut)
    draft.payload.setdefault("splits", []).append([draft.m.id, cut.supervoxel, cut.remain, cut.split])


def mark_scales(draft: Draft, at: list[tuple[int, int, int]], downres: bool) -> Pyramid | None:
    """Mark the lower scales of blocks as to be computed; what is to be done."""
    draft.downres = downres
    if not downres or not draft.instance.settings.MaxDownresLevel:
        return None
    work = Pyramid(1, touched_parents(at))
    draft.m.put(DIRTY.key(draft.m.id), work.pack())
    return work
