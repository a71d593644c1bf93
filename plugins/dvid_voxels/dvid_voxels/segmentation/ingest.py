"""Writing label blocks: voxels, their counts in the indices, extents and max label in one commit, then lower scales.

A stream is written in groups of blocks, each group whole with its indices; a request that breaks off leaves the groups
before, and can be sent again: counts of a block are set, not added.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Mutation, View

from .. import labels
from ..extents import grow_extents, read_extents
from ..geometry import Box, Triple
from ..label_events import VoxelsWritten
from .body import Labels, Rows
from .index import Change, change_of, set_counts
from .keys import BLOCK, DIRTY, EXTENTS
from .merging import first_parent
from .packing import check_reach, pack_blocks
from .pyramid import Pyramid, touched_parents
from .volume import Bodies, Unpacker, is_gzip, packed

if TYPE_CHECKING:
    from .instance import Segmentation

GROUP = 64
"""Blocks of one commit."""

GROUP_BYTES = 1 << 20
"""Bytes of one commit: a batch of 4 MiB stalls the event loop for 7 ms and more."""

SHARE = 16
"""Blocks that one kernel call works on."""

WIDTH = 2
"""Groups of one request that are under way at a time."""


class Ready(msgspec.Struct, frozen=True):
    """Blocks that were checked and counted, to be committed."""

    names: list[Triple]
    """Block coordinates z, y, x, none twice."""
    stored: list[bytes]
    block: NDArray[np.intp]
    """For each row below, which block of `names`."""
    labels: Labels
    voxels: NDArray[np.uint32]

    @property
    def max_label(self) -> int:
        """The largest label in them."""
        return int(self.labels.max()) if len(self.labels) else 0


class Options(msgspec.Struct, frozen=True):
    """What a write of blocks does besides storing them."""

    scale: int = 0
    downres: bool = False
    indexing: bool = True
    bare: bool = False
    """Nothing but blocks is written: no counters, extents, events."""
    erasing: bool = False
    """The request replaces voxels and is so small that it is one group, see `Pyramid.erased`."""


class Ingest:
    """Writes the blocks of one request."""

    def __init__(self, view: View, options: Options, extents: Box | None = None) -> None:
        """`extents` is what the extents grow by besides the blocks, in voxels."""
        self.view, self.options = view, options
        self.instance = cast("Segmentation", view.instance)
        self.size = self.instance.settings.block
        self.extents = extents
        self._known: Box | None = None
        self._running: dict[asyncio.Task[None], frozenset[Triple]] = {}

    # -- groups at work

    async def submit(self, names: Sequence[Triple], work: Any) -> None:
        """Run `work`, a coroutine that writes blocks of these names, beside earlier ones that write others."""
        wanted = frozenset(names)
        try:
            while len(self._running) >= WIDTH or any(wanted & held for held in self._running.values()):
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                self._collect(done)
        except BaseException:
            work.close()
            raise
        self._running[asyncio.ensure_future(work)] = wanted

    def _collect(self, done: set[asyncio.Task[None]]) -> None:
        for task in done:
            del self._running[task]
        for task in done:
            task.result()

    async def finish(self) -> None:
        """Return when all groups are written."""
        while self._running:
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._collect(done)

    async def abandon(self) -> None:
        """After a failure, or when the client left: begin nothing more, and let what was begun come to its end.

        A group that stopped between its commits would leave lower scales behind until the next start.
        """
        running = list(self._running)
        self._running.clear()
        if running:
            for task in running:
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait(running)

    # -- streams of blocks

    async def frames(self, chunks: AsyncIterator[bytes]) -> None:
        """Write a stream of frames whose payloads are gzip members of label blocks."""
        reader = labels.FrameReader(labels.limit(self.size))
        held: dict[Triple, bytes] = {}
        nbytes = 0
        try:
            async for piece in chunks:
                for at, payload in reader.feed(piece):
                    if at in held or len(held) >= GROUP or nbytes >= GROUP_BYTES:
                        await self._submit_payloads(held)
                        held, nbytes = {}, 0
                    held[at] = payload
                    nbytes += len(payload)
            reader.end()
            if held:
                await self._submit_payloads(held)
            await self.finish()
        except ValueError as err:
            await self.abandon()
            raise BadRequest(str(err)) from None
        except BaseException:
            await self.abandon()
            raise

    async def _submit_payloads(self, payloads: dict[Triple, bytes]) -> None:
        if not self.options.bare:
            check_reach(list(payloads))
        await self.submit(list(payloads), self._write_payloads(payloads))

    async def _write_payloads(self, payloads: dict[Triple, bytes]) -> None:
        names, stored = list(payloads), list(payloads.values())
        run = self.view.run
        shares = [slice(at, at + SHARE) for at in range(0, len(names), SHARE)]
        counted = await asyncio.gather(*(run(_examined, names[s], stored[s], self.instance.unpack) for s in shares))
        await self.commit(joined(names, stored, counted))

    async def voxels(self, source: NDArray[np.uint64], box: Box, wanted: frozenset[Triple] | None) -> None:
        """Write an array (z, y, x) of a box of whole blocks; of those only `wanted`, if given."""
        names = list(box.blocks(self.size).points())
        if wanted is not None:
            names = [at for at in names if at in wanted]
        if not names:
            return
        run = self.view.run
        shares = [names[at : at + SHARE // 2] for at in range(0, len(names), SHARE // 2)]
        made = await asyncio.gather(*(run(_encoded, source, box, share, self.size) for share in shares))
        stored = [block for blocks, _ in made for block in blocks]
        await self.commit(joined(names, stored, [counts for _, counts in made]))

    # -- one group

    async def commit(self, ready: Ready) -> None:
        """Store blocks with all that belongs to them, and compute the lower scales if that is asked for."""
        # From the commit on lower scales are left to do, so that the version is not locked in between.
        with self.instance.unfinished.at(self.view.version) if self.options.downres else nullcontext():
            await self._commit(ready)

    async def _commit(self, ready: Ready) -> None:
        options, instance, view = self.options, self.instance, self.view
        version = view.version
        index = options.indexing and options.scale == 0 and not options.bare and instance.settings.IndexedLabels
        full = options.scale == 0 and not options.bare
        grown = await self._growth(ready.names) if full else None
        keys = [BLOCK.key(options.scale, at) for at in ready.names]
        locks: list[Any] = [(version, 0, options.scale, *at) for at in ready.names]
        if grown is not None:
            locks.append((version, 1))
        levels = instance.settings.MaxDownresLevel if options.downres else 0
        work = None
        if levels:
            erased = options.erasing and not ready.max_label
            work = Pyramid(1, touched_parents(ready.names), erased)
        while True:
            if options.scale == 0:
                await instance.moves.settled(version, ready.names)
            before = await self._changes(ready, keys) if index else None
            held = [] if before is None else before.change.bodies

            async def change(m: Mutation, before: Changes | None = before) -> bool:
                if options.scale == 0 and instance.moves.holds(version, ready.names):
                    return False
                if before is not None:
                    # Which bodies are touched is only sure once they are locked.
                    now = await self._changes(ready, keys, before)
                    if now is not before and not set(now.change.bodies) <= set(before.change.bodies):
                        return False
                    if now.change.bodies:
                        await set_counts(m, now.change)
                for key, value in zip(keys, ready.stored):
                    m.put(key, value)
                if not full:
                    return True
                if grown is not None:
                    self._known = await grow_extents(m, EXTENTS, grown)
                if work is not None:
                    m.put(DIRTY.key(m.id), work.pack())
                payload = {"max": ready.max_label} if instance.raises(version, ready.max_label) else None
                m.record(events=[VoxelsWritten(tuple(ready.names), m.id)], payload=payload)
                return True

            done = await view.edit(
                "ingest", change, locks=[*locks, *((version, 2, b) for b in held)], with_id=full, durable=False
            )
            if done.result:
                break
        if work is not None:
            await instance.compute_scales(view, done.mutation_id, work)

    async def _growth(self, names: list[Triple]) -> Box | None:
        """The box that the extents have to grow by; None when they hold it."""
        points = np.array(names)
        low, high = points.min(axis=0).tolist(), (points.max(axis=0) + 1).tolist()
        box = Box.between((low[0], low[1], low[2]), (high[0], high[1], high[2])).voxels(self.size)
        box = box if self.extents is None else box.union(self.extents)
        if self._known is None:
            self._known = await read_extents(self.view, EXTENTS)
        return None if self._known is not None and self._known.contains(box) else box

    async def _changes(self, ready: Ready, keys: list[bytes], before: Changes | None = None) -> Changes:
        """What the indices are to hold of these blocks, as things stand; `before` itself when it still holds."""
        old = await first_parent(self.view, BLOCK.number).get_many(keys)
        seen = self.instance.seen(self.view)
        if before is not None and before.seen is seen and before.old == old:
            return before
        return await self.view.run(_changes, ready, old, self.instance.unpack, seen)


class Changes(msgspec.Struct, frozen=True, eq=False):
    """Counts to set."""

    change: Change
    old: list[bytes | None]
    seen: Bodies
    """What they were made of."""


def _changes(ready: Ready, old: list[bytes | None], unpack: Unpacker, seen: Bodies) -> Changes:
    """All labels of the old and the new content of blocks, with their voxels in the new one."""
    packed_names = pack_blocks(np.array(ready.names))
    blocks = [packed_names[ready.block]]
    supervoxels, voxels = [ready.labels], [ready.voxels]
    for n, stored in enumerate(old):
        if stored is None:
            continue
        gone = np.setdiff1d(labels.table(unpack(stored)), ready.labels[ready.block == n])
        blocks.append(np.full(len(gone), packed_names[n]))
        supervoxels.append(gone)
        voxels.append(np.zeros(len(gone), np.uint32))
    rows = Rows(np.concatenate(blocks), np.concatenate(supervoxels), np.concatenate(voxels))
    rows = rows.take(rows.supervoxels > 0)
    bodies = seen.bodies(rows.supervoxels)
    living = bodies > 0
    return Changes(change_of(bodies[living], rows.take(living)), old, seen)


Counted = tuple[NDArray[np.intp], Labels, NDArray[np.uint32]]
"""Block within the share, label, voxels."""


def counted_blocks(found: Sequence[labels.Counts]) -> Counted:
    """The counts of several blocks as those of one share."""
    sizes = [len(c.labels) for c in found]
    return (
        np.repeat(np.arange(len(found)), sizes),
        np.concatenate([c.labels for c in found]),
        np.concatenate([c.voxels for c in found]),
    )


def _examined(names: Sequence[Triple], payloads: Sequence[bytes], unpack: Unpacker) -> Counted:
    """A kernel: check and count blocks as they were posted.  Raises `BadRequest` naming the block."""
    found = []
    for (z, y, x), payload in zip(names, payloads):
        try:
            if not is_gzip(payload):
                raise ValueError("the payload is no gzip")
            found.append(labels.examine(unpack(payload), unpack.size))
        except ValueError as err:
            raise BadRequest(f"block {x}, {y}, {z}: {err}") from None
    return counted_blocks(found)


def _encoded(
    source: NDArray[np.uint64], box: Box, names: Sequence[Triple], size: Triple
) -> tuple[list[bytes], Counted]:
    """A kernel: some blocks of an array."""
    made = [labels.encode(source[Box(at, (1, 1, 1)).voxels(size).slices(box)]) for at in names]
    return [packed(block) for block in made], counted_blocks([labels.counts(block) for block in made])


def joined(names: list[Triple], stored: list[bytes], shares: Sequence[Counted]) -> Ready:
    """The shares of one group as one."""
    blocks, at = [], 0
    for block, *_ in shares:
        blocks.append(block + at)
        at += int(block[-1]) + 1
    return Ready(
        names,
        stored,
        np.concatenate(blocks),
        np.concatenate([s[1] for s in shares]),
        np.concatenate([s[2] for s in shares]),
    )
