"""Whole label indices, read and replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvid_core import MergeConflict, Mutation, Unavailable, View
from dvid_voxels.segmentation.body import NO_ROWS, Body, Rows, read_body
from dvid_voxels.segmentation.index import Reader, put_body, replace_index, rows_of, stage_drop
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.merging import FirstParent, may_dispute

from .asking import labelmap_of
from .filing import Filing

TRIES = 4

DIRECT = 200_000
"""Rows of indices that one commit takes with all that belongs to them: some 4 MB."""


async def whole_indices(view: View, labels: Sequence[int], reader: Reader) -> list[tuple[int, Rows, Body | None]]:
    """Bodies with all their rows, in order; a body that is not there is None.  `reader` decides what is disputed."""
    names = [n for n in labels if n]
    keys = [BODY.key(n) for n in names]
    merged = may_dispute(view, BODY.number)
    for _ in range(TRIES):
        stored = await reader.get_many(keys)
        sources = await FirstParent(view).origins(names) if merged else [view] * len(names)
        bodies = {n: read_body(data) for n, data in zip(names, stored) if data is not None}
        try:
            rows = {n: await rows_of(source, bodies[n]) for n, source in zip(names, sources) if n in bodies}
        except LookupError:
            continue  # an edit replaced segments between the two reads
        return [(n, rows.get(n, NO_ROWS), bodies.get(n)) for n in labels]
    raise Unavailable("the indices are changed faster than they can be read; try again")


async def put_indices(view: View, bodies: Mapping[int, Body]) -> None:
    """Replace indices, given with rows; those without are deleted.  All or none of them."""
    if sum(len(body.rows or NO_ROWS) for body in bodies.values()) <= DIRECT:
        await _put(view, bodies, None)
        return
    async with Filing(view) as filing:
        await _put(view, await filing.filed(bodies), filing)


async def _put(view: View, bodies: Mapping[int, Body], filing: Filing | None) -> None:
    instance = labelmap_of(view)
    largest = max((label for label, body in bodies.items() if not body.empty), default=0)

    async def change(m: Mutation) -> None:
        for label, old in (await _old(m, list(bodies))).items():
            body = bodies[label]
            if filing is None:
                await replace_index(m, label, body, old)
            else:
                if old is not None:
                    stage_drop(m, old)
                await put_body(m, label, body)
        if filing is not None:
            await filing.publish(m)
        if largest and instance.raises(view.version, largest):
            m.record(payload={"max": largest})

    await view.edit("indices", change, locks=[(view.version, 2, label) for label in bodies])


async def _old(m: Mutation, labels: Sequence[int]) -> dict[int, Body | None]:
    """What is in the place of these indices; one that is disputed is replaced as if there were none."""
    try:
        stored = await m.get_many([BODY.key(label) for label in labels])
    except MergeConflict:
        stored = [await _old_one(m, label) for label in labels]
    return {label: None if data is None else read_body(data) for label, data in zip(labels, stored)}


async def _old_one(m: Mutation, label: int) -> bytes | None:
    try:
        return await m.get(BODY.key(label))
    except MergeConflict:
        return None
