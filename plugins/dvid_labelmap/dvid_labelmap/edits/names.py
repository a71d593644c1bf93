"""Names of bodies and supervoxels: new ones, and which are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from dvid_core import BadRequest, Mutation, View
from dvid_voxels.segmentation.counters import LAST, LOCK
from dvid_voxels.segmentation.keys import BODY

from ..asking import labelmap_of
from .draft import Draft

SOME = 64
"""Labels that are looked at together."""


@asynccontextmanager
async def new_labels(view: View, count: int, besides: Sequence[int | None] = ()) -> AsyncIterator[list[int]]:
    """So many labels that nobody else gets while this is entered, ascending; the edit that uses them records it.

    None is one of `besides`, the labels that the edit was told to use.

    They are the next ones; those with an index or in the mapping of any version are passed over, which only happens
    after an admin has set the counter back, or posted a mapping of labels to come.
    """
    state = labelmap_of(view).state

    async def change(m: Mutation) -> list[int]:
        while True:
            base = state.base
            found: list[int] = []
            at, step = base + 1, count
            while len(found) < count:
                some = range(at, min(at + step, LAST + 1))
                if not some:
                    raise BadRequest("there are no labels left below 2^64")
                found += [n for n in await _free(view, some) if n not in besides]
                at, step = some[-1] + 1, SOME
            if state.base == base:
                break
            # An ingest came with larger labels meanwhile.
        state.reserve(found[count - 1] - base)
        state.held.update(found[:count])
        return found[:count]

    # Nothing is staged, so nothing is written.  Others that take labels hold the lock until they have recorded it.
    labels = (await view.edit("newlabel", change, locks=(LOCK,))).result if count else []
    try:
        yield labels
    finally:
        state.held.difference_update(labels)


async def _free(view: View, labels: Sequence[int]) -> Sequence[int]:
    """Those that have no index and are not in the mapping, of any version."""
    instance = labelmap_of(view)
    named = instance.state.mapping.named(np.array(labels, np.uint64))
    if not instance.state.next_label:
        # Beyond the largest label of all versions there are no indices.
        return labels if not named.any() else [n for n, has in zip(labels, named.tolist()) if not has]
    ranges = [(instance.prefix + BODY.key(n), instance.prefix + BODY.key(n) + b"\xff" * 5) for n in labels]
    pages = await instance.store.scan_many(ranges, limit=1)
    return [n for n, has, page in zip(labels, named.tolist(), pages) if not has and not page]


async def check_free(draft: Draft, label: int, what: str) -> None:
    """Raise `BadRequest` when a name of a new supervoxel is that of a body, or was one of a supervoxel."""
    if label == 0:
        raise BadRequest(f"{what}: 0 is the background")
    if await draft.find(label) is not None or draft.has_entry(label):
        raise BadRequest(f"{what}: {label} is in use")
