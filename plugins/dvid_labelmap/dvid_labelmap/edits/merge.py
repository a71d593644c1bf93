"""Merge: bodies become part of another one."""

from __future__ import annotations

from dvid_core import BadRequest, View
from dvid_voxels.label_events import BodiesMerged, pack_labels
from dvid_voxels.segmentation.index import join_bodies

from .draft import Draft, perform
from .journal import move_of

MOST = 10_000
"""Bodies that one merge takes: each is a key to lock and two to write."""


async def merge(view: View, target: int, merged: list[int]) -> int:
    """Give all supervoxels of `merged` to `target`; returns the mutation id."""
    merged = list(dict.fromkeys(merged))
    if not merged:
        raise BadRequest("at least two bodies are needed: [<target>, <merged>, ...]")
    if len(merged) > MOST:
        raise BadRequest(f"{len(merged)} bodies are to be merged; one request can merge {MOST}")
    if target == 0 or 0 in merged:
        raise BadRequest("label 0 is the background and cannot be merged")
    if target in merged:
        raise BadRequest(f"body {target} cannot be merged with itself")

    async def change(draft: Draft) -> None:
        await draft.load([target, *merged])
        await join_into(draft, target, merged)
        draft.events.append(BodiesMerged(draft.m.id, target, pack_labels(merged)))
        draft.show("merge-complete", Target=target, Labels=merged)

    return (await perform(view, "merge", change, [target, *merged])).mutation_id


async def join_into(draft: Draft, target: int, merged: list[int]) -> None:
    """Move all of some bodies to another that is there."""
    bodies = [await draft.body(label, "merge") for label in (target, *merged)]
    for label, body in zip(merged, bodies[1:]):
        await draft.breathe()
        supervoxels = await draft.supervoxels(body)
        draft.map(supervoxels, target)
        draft.moves.append(move_of(label, target, supervoxels, emptied=True, made=False))
        draft.put(label, None)
    draft.put(target, await join_bodies(draft.m, bodies))
