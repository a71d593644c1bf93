"""`Conversion`: the labels of another instance, copied into a labelmap with all that belongs to them, and checked.

The copy goes cube by cube; every so often the record says how far it is, so that a later start goes on there.  Blocks
that are as they should be are not written again: so a version that was converted costs its descendants nothing, and a
conversion can be repeated at any time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from dvid_core import BadRequest, DvidError, Instance, NotFound, View
from dvid_voxels import labels
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.label_events import LabelBlocks
from dvid_voxels.peers import Voxels
from dvid_voxels.segmentation.ingest import SHARE, Counted, Ingest, Options, counted_blocks, joined
from dvid_voxels.segmentation.keys import BLOCK
from dvid_voxels.segmentation.packing import check_reach
from dvid_voxels.segmentation.volume import Unpacker, packed
from dvid_voxels.volume import Stored

from .asking import labelmap_of
from .convert_check import Check
from .convert_cubes import Cube, Cubes, regrouped
from .convert_record import Record, Report, all_records, end_copy, put_record, read_record

log = logging.getLogger(__name__)

NOTED = 8
"""Cubes after which the record is written."""

NO_COUNTS: Counted = np.empty(0, np.intp), np.empty(0, np.uint64), np.empty(0, np.uint32)


class Conversion:
    """One at work, or ended; of what it did the store has the record."""

    def __init__(self, view: View, source: Instance, record: Record) -> None:
        # The work of the admin who asked for it, also when the version is locked meanwhile.
        self.view = View(view.instance, view.node)
        self.source, self.record = source, record
        self.done = 0.0
        """How much of its present state, copying or checking, is done: 0 to 1."""
        self.failure = ""
        self.task: asyncio.Task[None] | None = None
        self._extents: Box | None = None

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self.task is not None and not self.task.done() and not self.ended

    @property
    def ended(self) -> bool:
        """Whether the copy was made and checked."""
        return self.record.state in ("done", "differs")

    async def begin(self) -> None:
        """Start it, or go on."""
        await self._note()
        if self.record.state == "done":
            return
        self.task = labelmap_of(self.view).in_background(self._run())

    async def stop(self) -> None:
        """End it; the record stays."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def _run(self) -> None:
        try:
            source = await self.view.peer(self.source.name, LabelBlocks)
            voxels = await self.view.peer(self.source.name, Voxels)
            self._extents = await voxels.extents()
            if self.record.state == "copying":
                await self._copy(source)
            if self.record.state == "checking":
                await self._check(source)
        except DvidError as err:
            self.failure = str(err)
            log.error("converting %s to %s: %s", self.source.name, self.view.instance.name, err)
        except Exception as err:
            self.failure = f"{type(err).__name__}: {err}"
            log.exception("converting %s to %s", self.source.name, self.view.instance.name)

    async def _note(self, **changes: Any) -> None:
        self.record = msgspec.structs.replace(self.record, **changes)
        await put_record(self.view, self.source.data_uuid, self.record)

    def _at(self, cubes: Cubes, at: Triple, part: float) -> None:
        """Note how far the work is, from the place of a cube in the extents."""
        if self._extents is not None:
            low, high = self._extents.low[0] // cubes.depth, -(-self._extents.high[0] // cubes.depth)
            self.done = min(1.0, max(0.0, (at[0] + part - low) / max(1, high - low)))

    # -- copying

    async def _copy(self, source: LabelBlocks) -> None:
        view = self.view
        instance = labelmap_of(view)
        cubes = Cubes(source, instance.settings.block)
        ingest = Ingest(view, Options(downres=True))
        written, same = self.record.written, self.record.same

        async def write(cube: Cube) -> None:
            nonlocal written, same
            names, stored, counts = await self._changed(cube, cubes)
            written, same = written + len(names), same + len(cube.names) - len(names)
            if names:
                await ingest.commit(joined(names, stored, counts))

        reached, n = self.record.reached, 0
        try:
            async for cube in cubes.cubes(reached):
                check_reach(cube.names)
                self._at(cubes, cube.at, cube.part)
                await ingest.submit(cube.names, write(cube))
                reached, n = cube.at, n + 1
                if n % NOTED == 0:
                    await ingest.finish()
                    await self._note(reached=reached, written=written, same=same)
            await ingest.finish()
        except BaseException:
            await ingest.abandon()
            raise
        self.record = msgspec.structs.replace(
            self.record, reached=reached, written=written, same=same, state="checking"
        )
        await end_copy(view, self.source.data_uuid, self.record, self._extents, await self._largest())

    async def _largest(self) -> int:
        """The largest label that the source, or an instance whose bodies are in it, ever gave out."""
        repo = self.source.repo
        found = 0
        for name in (self.source.name, *self.source.base_info()["Syncs"]):
            instance = repo.instance(name)
            shown = (await instance.full_info(View(instance, self.view.node)))["Extended"]
            by_version = shown.get("MaxLabel")
            known = [shown.get("MaxRepoLabel"), *(by_version.values() if isinstance(by_version, dict) else ())]
            found = max([found, *(n for n in known if isinstance(n, int))])
        return found

    async def _changed(self, cube: Cube, cubes: Cubes) -> tuple[list[Triple], list[bytes], list[Counted]]:
        """Of a cube's blocks those that are to be written, in shares."""
        instance, view = labelmap_of(self.view), self.view
        have = dict(await instance.volume(view, supervoxels=True).blocks.values(cube.names))
        parts = [cube.names[at : at + SHARE] for at in range(0, len(cube.names), SHARE)]
        made = await asyncio.gather(
            *(view.run(_made, part, cube.found, cubes, [have.get(name) for name in part]) for part in parts)
        )
        names = [name for some, _, _ in made for name in some]
        stored = [block for _, some, _ in made for block in some]
        return names, stored, [counts for some, _, counts in made if some]

    # -- checking

    async def _check(self, source: LabelBlocks) -> None:
        self.done = 0.0
        instance = labelmap_of(self.view)
        cubes = Cubes(source, instance.settings.block)
        check = Check(self.view, cubes)
        async for cube in cubes.cubes():
            self._at(cubes, cube.at, cube.part)
            await check.look_at(cube)
        report: Report = await check.end()
        self.done = 1.0
        await self._note(report=report, state="done" if report.agrees else "differs")


def _made(
    names: Sequence[Triple], found: Sequence[Stored], cubes: Cubes, have: Sequence[bytes | memoryview | None]
) -> tuple[list[Triple], list[bytes], Counted]:
    """A kernel: the blocks that are not as they should be, their stored forms and counts."""
    unpack = Unpacker(cubes.size)
    changed, blocks = [], []
    for name, block, stored in zip(names, regrouped(names, found, cubes.theirs, cubes.size), have):
        old = labels.zero(cubes.size) if stored is None else unpack(stored)
        if block != old:
            changed.append(name)
            blocks.append(block)
    if not changed:
        return [], [], NO_COUNTS
    return changed, [packed(block) for block in blocks], counted_blocks([labels.counts(block) for block in blocks])


async def convert(view: View, name: str) -> Conversion:
    """Begin to convert an instance, or go on.  Raises `BadRequest` when that makes no sense."""
    async with labelmap_of(view).converting:
        return await _convert(view, name)


async def _convert(view: View, name: str) -> Conversion:
    instance = labelmap_of(view)
    running = instance.conversion
    source = instance.repo.instance(name)
    if running is not None and running.ended and running.task is not None:
        await asyncio.wait([running.task])
    if running is not None and running.running:
        if running.source is source and running.view.version == view.version:
            return running
        raise BadRequest(f"{instance.name} is being converted from {running.source.name}; wait for that to end")
    if source is instance:
        raise BadRequest("source: an instance cannot be converted to itself")
    await view.peer(name, LabelBlocks)
    await view.peer(name, Voxels)
    await source.ready()
    record = await read_record(view, source.data_uuid)
    if record is None and instance.has_data() and not await all_records(view) and await _has_blocks(view):
        raise BadRequest(f"{instance.name} holds voxels that are not of a conversion; convert to an empty labelmap")
    if record is None or record.state in ("done", "differs") or record.uuid != view.uuid:
        unchanged = record is not None and record.uuid != view.uuid and _wrote_nothing(view, source)
        if record is not None and record.state == "done" and unchanged:
            record = msgspec.structs.replace(record, uuid=view.uuid)
        else:
            record = Record(source=name, uuid=view.uuid, user=view.caller.user, began=time.time())
    work = instance.conversion = Conversion(view, source, record)
    await work.begin()
    return work


def _wrote_nothing(view: View, source: Instance) -> bool:
    """Whether neither instance was written to at a version, so that it sees what its parent sees."""
    version, instance = view.node.version, view.instance
    if not (source.versioned and instance.versioned) or len(view.node.parents) != 1:
        return False
    return version not in source.logged_versions() and version not in instance.logged_versions()


async def _has_blocks(view: View) -> bool:
    async for _ in view.scan_keys(*BLOCK.all(0)):
        return True
    return False


async def status_of(view: View) -> dict[str, Any]:
    """How the conversion at work, or the last one that is seen from a version, stands.  Raises `NotFound`."""
    instance = labelmap_of(view)
    work = instance.conversion
    if work is not None and work.view.version == view.version:
        record, running, done, failure = work.record, work.running, work.done, work.failure
    else:
        records = await all_records(view)
        if not records:
            raise NotFound(f"no conversion to {instance.name} at version {view.uuid} is known: not found")
        record, running, done, failure = records[0], False, 0.0, ""
    report = record.report
    return {
        "Source": record.source,
        "UUID": record.uuid,
        "State": record.state,
        "Running": running,
        "Done": 1.0 if record.state in ("done", "differs") else round(done, 4),
        "Written": record.written,
        "Same": record.same,
        "Error": failure,
        "Report": None if report is None else {
            "Blocks": report.blocks,
            "Labels": report.labels,
            "Voxels": report.voxels,
            "DifferentBlocks": report.different_blocks,
            "DifferentLabels": report.different_labels,
            "Examples": report.examples,
        },
    }  # fmt: skip
