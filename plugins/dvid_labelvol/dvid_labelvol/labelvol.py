"""The labelvol datatype."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from dvid_core import Compression, Info, Instance, LogRecord, Mutation, View
from dvid_core import Settings as AnySettings
from dvid_voxels.extents import number
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import (
    CopiedVoxels,
    LabelBlocks,
    LabelsAt,
    LabelsRewritten,
    RewrittenRuns,
    VoxelsWritten,
)
from dvid_voxels.labels.runs import Runs
from dvid_voxels.segmentation.instance import Segmentation
from dvid_voxels.segmentation.offered import PlainLabels
from dvid_voxels.segmentation.relabel_handlers import unpack_runs
from dvid_voxels.segmentation.relabeling import RelabelRules, Repaint, repaint_of, stage_blocks
from dvid_voxels.segmentation.volume import BATCH, Unpacker, batches

from .edits import Edits
from .handlers import ROUTES
from .keys import CLASSES, RUNS
from .settings import OWN, LabelVolSettings

P = TypeVar("P")

EDITS = (0, 4)
"""The lock of all that changes bodies: what is taken in from a labelblk is known only when it is read."""

EDIT_BYTES = 32 << 20
"""Bytes of blocks that one edit writes: the labelblk that follows writes as many in one commit."""

PATIENCE = 10.0
"""Seconds that an edit waits for what was written to the labelblk before."""


class LabelVol(Segmentation):
    """Bodies of a plain label volume: where each label is, and merges and splits of labels.

    Succeeded by labelmap.  Made with POST /api/repo/<uuid>/instance and {"typename": "labelvol", "dataname": "<name>",
    ...}.  Settings, all given as strings:

        BlockSize     x,y,z of a block, that of the labelblk          32,32,32
        VoxelSize     x,y,z of a voxel                                8,8,8
        VoxelUnits    the units of VoxelSize                          nanometers,nanometers,nanometers
        Versioned     true or false

    It works with a labelblk of the same block size; each follows the other, from before voxels are written:

        POST /api/node/3f8c/bodies/sync           {"sync": "segmentation"}
        POST /api/node/3f8c/segmentation/sync     {"sync": "bodies"}

    What is written to the labelblk shows here a moment later, and merges and splits here change the voxels there.
    """

    typename, type_version = "labelvol", "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/labelvol"
    Settings = LabelVolSettings
    keys = CLASSES
    routes = ROUTES
    emits = (VoxelsWritten, LabelsRewritten)
    relabel_rules = RelabelRules(locks=(EDITS,), limit=EDIT_BYTES, kept=RUNS)

    state: Edits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = Edits()
        self.changes = 0
        """Log records so far: a read that takes several steps looks whether it grew."""

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> LabelVolSettings:
        known = {k: v for k, v in raw.items() if k.lower() in OWN or k.lower() == "typename"}
        return cast("LabelVolSettings", super().read_settings(known))

    @classmethod
    def compression(cls, wanted: Compression, settings: AnySettings) -> Compression:
        # What was asked for is what info shows, although label blocks are always kept compressed in their own way.
        return super(Segmentation, cls).compression(wanted, settings)

    @classmethod
    def follows(cls, other: type[Instance]) -> bool:
        # Other label volumes emit events of these kinds too, but they have bodies of their own.
        return other.typename == "labelblk"

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        super().apply(version, number, record)
        self.changes += 1

    async def info(self, view: View) -> Info:
        settings, dag = self.settings, self.repo.dag
        maxima = {
            dag.nodes[v].uuid if v in dag.nodes else dag.root.uuid: n for v, n in sorted(self.state.maxima.items())
        }
        return Info(
            extended={
                "VoxelSize": [number(n) for n in settings.VoxelSize],
                "VoxelUnits": settings.VoxelUnits,
                "BlockSize": settings.BlockSize,
                "MaxLabel": maxima,
            }
        )

    def offer(self, protocol: type[P], view: View) -> P | None:
        if protocol is LabelsAt:
            return cast("P", PlainLabels(self, view))
        if protocol is RewrittenRuns:
            return cast("P", KeptRuns(view))
        return super().offer(protocol, view)

    async def synced(self, view: View) -> None:
        async def change(m: Mutation) -> None:
            m.record(payload={"since": m.id})

        await view.edit("sync", change, with_id=True)

    async def caught_up(self, view: View) -> None:
        for source in self.sources():
            peer = await view.peer(source.name, CopiedVoxels)
            with contextlib.suppress(TimeoutError):
                # Else the edit is about what is known here.
                async with asyncio.timeout(PATIENCE):
                    await self.state.taken_in(view.version, peer.last_written())

    def sources(self) -> list[Instance]:
        """The labelblks that are followed."""
        found = [self.repo.by_id(number) for number in self.record.syncs]
        return [source for source in found if source is not None and source.typename == "labelblk"]

    # -- what a labelblk tells

    def event_locks(self, events: object) -> tuple[Any, ...]:
        return (EDITS,)

    async def voxels_written(self, m: Mutation, event: VoxelsWritten) -> None:
        """Take in the blocks of a labelblk as they are now."""
        source = self.repo.by_id(m.chain[-1])
        assert source is not None
        peer = await m.view.peer(source.name, LabelBlocks)
        if peer.block != self.settings.block:
            return
        follower = await m.view.peer(source.name, CopiedVoxels)
        largest = 0
        for names in batches(event.blocks, BATCH):
            found = await self._taken(m.view, peer, follower, names)
            if found:
                largest = max(largest, await stage_blocks(m, found))
        payload = {"taken_in": event.mutation} if event.mutation else {}
        if self.raises(m.view.version, largest):
            payload["max"] = largest
        m.record(events=[VoxelsWritten(event.blocks)], payload=payload or None)

    async def _taken(
        self, view: View, peer: LabelBlocks, follower: CopiedVoxels, names: list[Triple]
    ) -> list[tuple[Triple, bytes]]:
        """Blocks of the labelblk, with those merges and splits from here that it has still to follow."""
        while True:
            done = follower.followed(self.id)
            found = await peer.named(names)
            if follower.followed(self.id) == done:
                break
        if done is None:
            return found
        missing = self.state.behind(view.version, done)
        if not missing:
            return found
        runs = KeptRuns(view)
        work = [
            await repaint_of(view, event, runs) for number in missing async for event in self._rewrites(view, number)
        ]
        return await view.run(_repainted, work, found, self.unpack)

    async def _rewrites(self, view: View, number: int) -> AsyncIterator[LabelsRewritten]:
        """The events of a log record."""
        async for _, record in self.records(view.version, number - 1):
            for event in record.events_of((LabelsRewritten,)):
                yield cast("LabelsRewritten", event)
            return

    handles = {VoxelsWritten: voxels_written}  # noqa: RUF012


def _repainted(
    work: Sequence[Repaint], found: Sequence[tuple[Triple, bytes]], unpack: Unpacker
) -> list[tuple[Triple, bytes]]:
    """A kernel: the blocks after edits, one after another."""
    out = []
    for at, block in found:
        for one in work:
            block = one.done(at, block, unpack)
        out.append((at, block))
    return out


class KeptRuns:
    """The splits of a labelvol as `RewrittenRuns`."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def runs_of(self, mutation: int) -> Runs:
        """The voxels that a split was about."""
        data = await self._view.get(RUNS.key(mutation))
        if data is None:
            return np.empty((0, 4), np.int32)
        return await self._view.run(unpack_runs, data)
