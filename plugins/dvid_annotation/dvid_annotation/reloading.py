"""`Reload`: the lists of labels and tags of a version made anew from its elements."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import KeyClass, Mutation, View

from .elements import kinds_of, tags_of
from .filing import Filing
from .keys import CELL, FILED, LABEL, TAG, behind
from .placing import INLINE, Place, followed_labels, look_up
from .rechecking import settle
from .rows import all_records, changed_records, count_of, items_of
from .segments import all_entries

if TYPE_CHECKING:
    from .annotation import Annotation
    from .work import Progress

KEYS = 4000
"""Rows of lists that are removed in one commit."""

PAGE = 256
"""Cells that are read together."""

ELEMENTS = 10_000
BYTES = 8 << 20
"""Elements that are filed in one commit, and bytes of their cells."""


class Reload:
    """One reload; cut short, it is begun again."""

    def __init__(self, instance: Annotation, view: View, tkey: bytes, progress: Progress) -> None:
        self._instance, self._view, self._tkey, self._progress = instance, view, tkey, progress

    async def run(self) -> None:
        """Do it."""
        progress, began = self._progress, time.monotonic()
        progress.State, progress.Elements = "running", 0
        for klass, phase in ((LABEL, "dropping labels"), (TAG, "dropping tags"), (FILED, "dropping supervoxels")):
            progress.Phase = phase
            after: bytes | None = b""
            while after is not None:
                after = await self._drop(klass, after)
                progress.Seconds = time.monotonic() - began
        progress.Phase = "filing"
        after = b""
        while after is not None:
            after = await self._fill(after)
            progress.Seconds = time.monotonic() - began
        await self._view.edit("reload", self._end)
        progress.State, progress.Phase = "done", ""

    async def _end(self, m: Mutation) -> None:
        m.delete(self._tkey)

    async def _drop(self, klass: KeyClass, after: bytes) -> bytes | None:
        async def change(m: Mutation) -> bytes | None:
            start, stop = klass.all()
            keys: list[bytes] = []
            async for page in m.view.scan_keys(max(start, after), stop):
                keys += page
                if len(keys) >= KEYS:
                    break
            if klass is LABEL and keys:
                filing = Filing(m)
                values = [v for v in await m.get_many(keys) if v is not None]
                labels = np.array([LABEL.unpack(key)[0] for key in keys], np.uint64)
                entries = all_entries(values)
                filing.changed(np.repeat(labels, [count_of(v) for v in values]), entries, -1)
                await filing.stage()
            for key in keys:
                m.delete(key)
            return behind(keys[-1]) if len(keys) >= KEYS else None

        return (await self._view.edit("reload", change, locks=self._instance.everything)).result

    async def _fill(self, after: bytes) -> bytes | None:
        async def change(m: Mutation) -> tuple[bytes | None, int]:
            start, stop = CELL.all()
            found: dict[bytes, bytes] = {}
            enough = False
            count, weight, last = 0, 0, b""
            async for page in m.view.scan_keys(max(start, after), stop):
                for at in range(0, len(page), PAGE):
                    keys = page[at : at + PAGE]
                    for key, value in zip(keys, await m.get_many(keys)):
                        if value:
                            found[key] = value
                            count += count_of(value)
                            weight += len(value)
                    last = keys[-1]
                    if enough := count >= ELEMENTS or weight >= BYTES:
                        break
                if enough:
                    break
            if found:
                await self._file(m, found)
            return (behind(last) if enough else None), count

        after_this, count = (await self._view.edit("reload", change, locks=self._instance.everything)).result
        self._progress.Elements += count
        return after_this

    async def _file(self, m: Mutation, found: dict[bytes, bytes]) -> None:
        values = list(found.values())
        records = all_records(values).copy()
        run = m.view.run if len(records) > INLINE else _inline
        shown, kinds, tags = await run(_lists, values)
        positions = records["position"]
        filing = Filing(m)
        peer = await followed_labels(m.view)
        nothing = np.zeros(len(records), np.uint64)
        place = Place(nothing, nothing) if peer is None else await look_up(peer, positions)
        if peer is not None:
            filing.file(await settle(m, peer, self._instance.grid, place, whole=True))
        records["supervoxel"] = place.supervoxels
        records["label_segment"] = await run(
            filing.list_under_labels, place.labels, place.supervoxels, positions, kinds, shown
        )
        records["tag_segment"] = await run(filing.list_under_tags, tags, positions, kinds, shown)
        at = 0
        for key, value in found.items():
            count = count_of(value)
            m.put(key, changed_records(value, records[at : at + count]))
            at += count
        await filing.stage()


def _lists(values: list[bytes]) -> tuple[list[bytes], NDArray[np.uint8], list[list[str]]]:
    """A kernel: the texts as lists show them, kinds and tags of the elements of these cells."""
    items = [item for value in values for item in items_of(value)]
    shown = [item.shown for item in items]
    return shown, kinds_of(shown), [tags_of(item.text) for item in items]


async def _inline(kernel: Any, *args: Any) -> Any:
    return kernel(*args)
