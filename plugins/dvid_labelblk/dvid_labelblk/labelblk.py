"""The labelblk datatype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np

from dvid_core import Compression, Info, Instance, LogRecord, MergeConflict, Mutation, View
from dvid_core import Settings as AnySettings
from dvid_voxels.extents import grow_extents
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.label_events import (
    CopiedVoxels,
    LabelBlocks,
    LabelsAt,
    LabelsRewritten,
    RewrittenRuns,
    VoxelsWritten,
)
from dvid_voxels.segmentation.instance import Segmentation
from dvid_voxels.segmentation.keys import BLOCK, EXTENTS
from dvid_voxels.segmentation.merging import first_parent
from dvid_voxels.segmentation.offered import PlainLabels
from dvid_voxels.segmentation.pyramid import Parent, touched_parents
from dvid_voxels.segmentation.relabeling import Repaint, repaint_of
from dvid_voxels.segmentation.volume import BATCH, Unpacker, batches, packed

from .followed import Copied, Following
from .halving import halved
from .handlers import ROUTES
from .settings import OWN, LabelBlkSettings

P = TypeVar("P")

PARENTS = 8
"""Blocks of half resolution that are computed at a time."""


class LabelBlk(Segmentation):
    """Plain label volumes: a 64-bit label for each voxel, in blocks; 0 is background and what was never written.

    Succeeded by labelmap.  Made with POST /api/repo/<uuid>/instance and {"typename": "labelblk", "dataname": "<name>",
    ...}.  Settings, all given as strings:

        BlockSize     x,y,z of a block; multiples of 8                32,32,32
        VoxelSize     x,y,z of a voxel                                8,8,8
        VoxelUnits    the units of VoxelSize                          nanometers,nanometers,nanometers
        Versioned     true or false

    It has no bodies of its own: a labelvol that follows it has them (POST sync there), and when the labelblk follows
    that labelvol, its merges and splits change the voxels.  A labelblk that follows another one holds it at half
    resolution.
    """

    typename, type_version = "labelblk", "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/labelblk"
    Settings = LabelBlkSettings
    routes = ROUTES
    emits = (VoxelsWritten,)

    state: Following

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = Following()

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> LabelBlkSettings:
        known = {k: v for k, v in raw.items() if k.lower() in OWN or k.lower() == "typename"}
        return cast("LabelBlkSettings", super().read_settings(known))

    @classmethod
    def compression(cls, wanted: Compression, settings: AnySettings) -> Compression:
        # What was asked for is what info shows, although label blocks are always kept compressed in their own way.
        return super(Segmentation, cls).compression(wanted, settings)

    @classmethod
    def follows(cls, other: type[Instance]) -> bool:
        # Other label volumes emit events of these kinds too, but their voxels are not what this type copies.
        return other.typename in ("labelvol", "labelblk")

    # -- life

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        super().apply(version, number, record)
        self._note(version, record)

    def _note(self, version: int, record: LogRecord) -> None:
        if record.mutation_id and not record.chain and record.events:
            self.state.written[version] = record.mutation_id

    async def open(self) -> None:
        self.warm()
        for version in sorted(self.logged_versions()):
            async for number, record in self.records(version):
                self.state.apply(version, number, record.payload)
                self._note(version, record)
        await self.resume_scales()

    # -- info, and what others ask

    async def info(self, view: View) -> Info:
        # Which blocks there are is shown by metadata alone.
        return Info(extended={**self.properties(await self.extents(view)), "MinIndex": None, "MaxIndex": None})

    def offer(self, protocol: type[P], view: View) -> P | None:
        if protocol is CopiedVoxels:
            return cast("P", Copied(self, view))
        return cast("P", PlainLabels(self, view)) if protocol is LabelsAt else super().offer(protocol, view)

    # -- merges and splits of a labelvol

    async def synced(self, view: View) -> None:
        async def change(m: Mutation) -> None:
            m.record(payload={"since": m.id})

        await view.edit("sync", change, with_id=True)

    async def labels_rewritten(self, m: Mutation, event: LabelsRewritten) -> None:
        """Do to the voxels what a labelvol did to its own."""
        work = await repaint_of(m.view, event, await m.view.peer(self._source(m).name, RewrittenRuns))
        changed: list[Triple] = []
        for names in batches(event.blocks, BATCH):
            keys = [BLOCK.key(0, at) for at in names]
            made = await m.view.run(_repainted, work, names, await _before(m, keys), self.unpack)
            for at, key, value in zip(names, keys, made):
                if value is not None:
                    m.put(key, value)
                    changed.append(at)
        events = [VoxelsWritten(tuple(changed))] if changed else []
        m.record(events=events, payload={"followed": event.mutation})

    def _source(self, m: Mutation) -> Instance:
        """The instance whose event is handled."""
        source = self.repo.by_id(m.chain[-1])
        assert source is not None
        return source

    # -- half the resolution of another labelblk

    async def voxels_written(self, m: Mutation, event: VoxelsWritten) -> None:
        """Compute the blocks over those that were written."""
        source = self._source(m)
        if source.typename != self.typename:
            # What a labelvol takes in is written to its labelblk.
            return
        peer = await m.view.peer(source.name, LabelBlocks)
        if peer.block != self.settings.block:
            return
        parents = touched_parents(event.blocks)
        for some in batches(parents, PARENTS):
            await self._halve(m, peer, some)
        places = [at for at, _ in parents]
        points = np.array(places)
        low, high = points.min(axis=0).tolist(), (points.max(axis=0) + 1).tolist()
        await grow_extents(m, EXTENTS, Box.between(tuple(low), tuple(high)).voxels(self.settings.block))
        m.record(events=[VoxelsWritten(tuple(places))])

    async def _halve(self, m: Mutation, peer: LabelBlocks, parents: list[Parent]) -> None:
        wanted = [child for at, mask in parents for child in _children(at, mask)]
        found = dict(await peer.named(wanted))
        keys = [BLOCK.key(0, at) for at, _ in parents]
        jobs = []
        for (at, mask), old in zip(parents, await _before(m, keys)):
            children = [(_place(name), found[name]) for name in _children(at, mask) if name in found]
            jobs.append((children, mask, old))
        for key, value in zip(keys, await m.view.run(_halved, jobs, self.unpack)):
            m.put(key, value)

    handles = {LabelsRewritten: labels_rewritten, VoxelsWritten: voxels_written}  # noqa: RUF012


async def _before(m: Mutation, keys: Sequence[bytes]) -> list[bytes | None]:
    """What is stored; where parents of the version disagree, as the first one has it."""
    try:
        return await m.get_many(keys)
    except MergeConflict:
        return await first_parent(m.view, BLOCK.number).get_many(keys)


def _children(at: Triple, mask: int) -> list[Triple]:
    """The touched children of a parent."""
    z, y, x = at
    return [(2 * z + (n >> 2), 2 * y + (n >> 1 & 1), 2 * x + (n & 1)) for n in range(8) if mask >> n & 1]


def _place(child: Triple) -> Triple:
    """Where a child is in its parent."""
    z, y, x = child
    return z & 1, y & 1, x & 1


def _halved(jobs: Sequence[tuple[list[tuple[Triple, bytes]], int, bytes | None]], unpack: Unpacker) -> list[bytes]:
    """A kernel: stored forms of parents."""
    return [
        packed(halved(children, mask, unpack.size, None if old is None or mask == 255 else unpack(old)))
        for children, mask, old in jobs
    ]


def _repainted(
    work: Repaint, names: Sequence[Triple], stored: Sequence[bytes | None], unpack: Unpacker
) -> list[bytes | None]:
    """A kernel: the new stored forms; None where nothing changes."""
    out: list[bytes | None] = []
    for at, data in zip(names, stored):
        before = None if data is None else unpack(data)
        after = None if before is None else work.done(at, before, unpack)
        out.append(None if after is None or after is before else packed(after))
    return out
