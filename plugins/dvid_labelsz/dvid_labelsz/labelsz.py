"""The datatype `labelsz`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from dvid_core import Event, Info, Instance, LogRecord, Mutation, Refused, View
from dvid_voxels.annotation_events import ElementsFiled, pack_changes, unpack_changes

from .counts import Changes, change_counts, folded
from .handlers import ROUTES
from .keys import CLASSES, QUEUED, REGION, RELOAD
from .region import Mask, keep_mask, read_mask
from .reload import LOCK, drain, mark, reload
from .settings import SizeSettings
from .tables import Tables

log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 1.0
"""How often a reload is tried, and seconds between."""

INLINE = 2000
"""Changes that are summed in less time than a hop to a thread takes."""


class LabelSz(Instance):
    """Labels ranked by the number of annotation elements on them, per version and kind of element.

    Sync it to one or more annotation instances, which are synced to labels themselves:

        POST /api/node/<uuid>/<name>/sync     with the body  {"sync": "synapses"}

    From then on it counts what is posted, deleted and moved there, and follows merges, cleaves and splits of the
    labels. What was there before is counted by `reload`. Elements on label 0 are not counted.

    Index types: PostSyn, PreSyn, Gap, Note; AllSyn, the sum of the first three; and Voxels, which nothing is
    counted for.
    """

    typename = "labelsz"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/labelsz"
    Settings = SizeSettings
    keys = CLASSES
    routes = ROUTES

    settings: SizeSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tables = Tables(self)
        self._mask: Mask | None = None
        self._reloads: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._changed: tuple[Mutation | None, list[bytes]] = (None, [])

    async def open(self) -> None:
        for version in sorted(self.written(RELOAD.number)):
            marked = await View(self, self.repo.dag.nodes.get(version) or self.repo.dag.root).get(RELOAD.key())
            if marked is not None and (not self.versioned or int(marked) == version):
                self._begin(View(self, self.repo.dag.nodes[int(marked)]))
        for version in sorted(self.written(QUEUED.number)):
            view = View(self, self.repo.dag.nodes.get(version) or self.repo.dag.root)
            if await view.get(RELOAD.key()) is None:
                await drain(view)

    async def close(self) -> None:
        tasks = list(self._reloads.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        if record.payload is not None:
            self.tables.touch(version, np.frombuffer(record.payload, np.uint64) if record.payload else None)

    async def info(self, view: View) -> Info:
        return Info(extended={"StaticROI": self.settings.ROI})

    # -- events

    def event_locks(self, events: Sequence[Event]) -> Iterable[Any]:
        return (LOCK,)

    async def follow(self, m: Mutation, event: ElementsFiled) -> None:
        """Count in what joined and left the labels; during a reload it is queued."""
        await self.find_region(m)
        changes = await self.counted(m.view, unpack_changes(event.changes))
        if not len(changes):
            return
        if await m.get(RELOAD.key()) is not None:
            m.put(QUEUED.key(secrets.randbits(64)), pack_changes(changes))
            return
        labels, sums = folded([changes]) if len(changes) <= INLINE else await m.view.run(folded, [changes])
        await change_counts(m, labels, sums)
        if self._changed[0] is not m:
            self._changed = (m, [])
        self._changed[1].append(labels.tobytes())
        m.record(payload=b"".join(self._changed[1]))

    handles: ClassVar = {ElementsFiled: follow}

    async def counted(self, view: View, changes: Changes) -> Changes:
        """Those in the region of interest."""
        if self.settings.roi is None:
            return changes
        return changes[:0] if self._mask is None else await self._mask.inside(view, changes)

    async def find_region(self, m: Mutation) -> None:
        """Read the region of interest if it is not known yet; the edit keeps a copy."""
        if self.settings.roi is None or self._mask is not None:
            return
        stored = await m.view.get(REGION.key())
        if stored is not None:
            self._mask = Mask.unpack(stored)
            return
        mask = await read_mask(self, *self.settings.roi)
        if mask is not None:
            await keep_mask(m, mask)
            self._mask = mask

    # -- reloads

    def check_ready(self, view: View) -> None:
        """Raise `Refused` while the counts that are seen from here are being made."""
        for version in self._reloads:
            if version == view.version or (self.versioned and self.repo.dag.is_ancestor(version, view.version)):
                raise Refused(f"stats not available: {self.name} is being reloaded; try again later")

    async def reload(self, view: View) -> None:
        """Count anew, in the background."""
        if not self.record.syncs:
            return
        task = self._reloads.get(view.version)
        if task is not None and not task.done():
            self._again.add(view.version)
            return
        await mark(view)
        self._begin(View(self, view.node))

    def _begin(self, view: View) -> None:
        if view.version not in self._reloads or self._reloads[view.version].done():
            self._reloads[view.version] = asyncio.get_running_loop().create_task(self._reload(view))

    async def _reload(self, view: View) -> None:
        for attempt in range(TRIES):
            try:
                await reload(self, view)
                while view.version in self._again:
                    self._again.discard(view.version)
                    await mark(view)
                    await reload(self, view)
                break
            except Exception:
                log.exception("the reload of %s at %s, try %d", self.name, view.uuid, attempt + 1)
                await asyncio.sleep(PAUSE * attempt)
        else:
            # What is there is not to be trusted, so it stays refused.
            log.critical("the reload of %s at %s failed: post it again", self.name, view.uuid)
            return
        del self._reloads[view.version]
