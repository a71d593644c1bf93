"""Cleave: supervoxels leave a body and make up a new one."""

from __future__ import annotations

import numpy as np

from dvid_core import BadRequest, View
from dvid_voxels.label_events import BodyCleaved
from dvid_voxels.segmentation.body import Body, Labels, part
from dvid_voxels.segmentation.index import off_loop

from .draft import Draft, perform, told
from .journal import move_of
from .names import new_labels


async def cleave(view: View, label: int, supervoxels: Labels) -> tuple[int, int]:
    """Move supervoxels of a body to a new one; returns its name and the mutation id."""
    if not len(supervoxels):
        raise BadRequest("supervoxels: none are given")
    wanted = np.unique(supervoxels)
    async with new_labels(view, 1) as [cleaved]:

        async def change(draft: Draft) -> None:
            await draft.load([label, cleaved])
            remains, taken = await part_from(draft, label, wanted)
            if await draft.find(cleaved) is not None:
                raise BadRequest(f"label: {cleaved} was written as a supervoxel meanwhile; try again")
            draft.put(label, remains)
            draft.put(cleaved, taken)
            draft.map(wanted, cleaved)
            draft.map(np.array([cleaved], np.uint64), 0)
            draft.taken = cleaved
            draft.moves.append(move_of(label, cleaved, wanted, emptied=False, made=True))
            draft.events.append(BodyCleaved(draft.m.id, label, cleaved, told(wanted)))
            draft.show(
                "cleave-complete",
                OrigLabel=label, CleavedLabel=cleaved, CleavedSupervoxels=supervoxels.tolist(),
                CleavedSize=taken.voxels, RemainSize=remains.voxels,
            )  # fmt: skip

        done = await perform(view, "cleave", change, [label, cleaved])
    return cleaved, done.mutation_id


async def part_from(draft: Draft, label: int, supervoxels: Labels) -> tuple[Body, Body]:
    """A body without some of its supervoxels, sorted, and what these make up.  Raises `BadRequest`."""
    body = await draft.body(label)
    return await off_loop(draft.view, body.entries, _parted, label, body, supervoxels)


def _parted(label: int, body: Body, supervoxels: Labels) -> tuple[Body, Body]:
    """Raises `BadRequest` unless the supervoxels are some of the body's, but not all."""
    remains, taken = part(body, supervoxels)
    found = taken.supervoxels
    if len(found) < len(supervoxels):
        raise BadRequest(f"supervoxel {np.setdiff1d(supervoxels, found)[0]} is not in body {label}")
    if remains.empty:
        raise BadRequest(f"these are all supervoxels of body {label}; at least one must remain")
    return remains, taken
