"""Counting anew from the annotations.

A mark at the version says that its counts are not to be trusted; from then on events are queued.  What the annotations
hold at one moment is counted and replaces the stored counts in several commits; then the events that came after that
moment are counted in, in the commit that removes the mark.  A reload that a stop cuts short begins anew at the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING

import numpy as np

from dvid_core import BadRequest, Disputed, Mutation, View
from dvid_voxels.annotation_events import FiledElements, unpack_changes

from .counts import Changes, Counts, Labels, as_counts, change_counts, folded, joined, labels_of, packed, tkeys_of
from .keys import COUNTS, QUEUED, RELOAD

if TYPE_CHECKING:
    from .labelsz import LabelSz

log = logging.getLogger(__name__)

LOCK = "counts"
"""Held while counts are changed: by handlers of events, and by what must not come between them."""

BUFFER = 1_000_000
"""Elements that are counted together."""

RUNS = 8
"""Foldings that are kept before they are joined."""

ROWS = 2000
"""Rows that one commit replaces."""

STILL = 10
"""Seconds that nobody can edit a version while its annotations come to rest; if they do not, it is tried again."""


async def mark(view: View) -> None:
    """Begin to queue events at this version."""

    async def change(m: Mutation) -> None:
        m.put(RELOAD.key(), b"%d" % view.node.version)

    await view.edit("reload", change, locks=(LOCK,))


async def reload(instance: LabelSz, view: View) -> None:
    """Count anew what the synced annotations hold at a version that is marked; `view` is one of the server itself."""
    await view.edit("reload", instance.find_region)
    pages, queued = await _moment(instance, view)
    labels, counts = await _counted(instance, view, pages)
    await _replace(view, labels, counts)
    await finish(instance, view, queued)


async def _moment(instance: LabelSz, view: View) -> tuple[list[AsyncIterator[Changes]], set[bytes]]:
    """The elements of all annotations as of one moment, and the queued events that are among them."""
    server, node = instance.server, view.node
    version = view.version if instance.versioned else None
    sources = []
    for source in map(instance.repo.by_id, instance.record.syncs):
        if source is None:
            continue
        try:
            sources.append(await view.peer(source.name, FiledElements))
        except BadRequest:
            log.warning("%s: %s has no elements to be counted", instance.name, source.name)
    while True:
        await server.bus.idle(instance.id, version=version)
        try:
            # Nobody edits the version here, so once the events under way are handled, or queued, the annotations are
            # what all events have made of them.
            async with server.locks.hold(exclusive=(("version", node.version),)), asyncio.timeout(STILL):
                await server.bus.idle(instance.id, version=version)
                queued = {tkey async for page in view.scan_keys(*QUEUED.all()) for tkey in page}
                pages = [source.pages() for source in sources]
                first = [await anext(p, None) for p in pages]
        except TimeoutError:
            continue
        return [_chained(f, p) for f, p in zip(first, pages) if f is not None], queued


async def _chained(first: Changes, others: AsyncIterator[Changes]) -> AsyncIterator[Changes]:
    yield first
    async for page in others:
        yield page


async def _counted(instance: LabelSz, view: View, sources: list[AsyncIterator[Changes]]) -> tuple[Labels, Counts]:
    runs = [(np.empty(0, np.uint64), np.empty((0, 4), np.int64))]
    buffer: list[Changes] = []
    size = 0
    for pages in sources:
        async for page in pages:
            kept = await instance.counted(view, page)
            if len(kept):
                buffer.append(kept)
                size += len(kept)
            if size >= BUFFER:
                runs.append(await view.run(folded, buffer))
                buffer, size = [], 0
            if len(runs) >= RUNS:
                runs = [await view.run(joined, runs)]
    if buffer:
        runs.append(await view.run(folded, buffer))
    labels, sums = await view.run(joined, runs)
    counts = as_counts(sums)
    some = counts.any(axis=1)
    return labels[some], counts[some]


async def _replace(view: View, labels: Labels, counts: Counts) -> None:
    """Let these be the counts of the version: what differs is written."""
    done = 0
    async for page in view.scan(*COUNTS.all()):
        stored = labels_of([tkey for tkey, _ in page])
        rows = [b"?" if isinstance(found, Disputed) else found.inline for _, found in page]
        upto = int(np.searchsorted(labels, stored[-1], side="right"))
        there = dict(zip(stored.tolist(), rows))
        await _write(view, labels[done:upto], counts[done:upto], there)
        done = upto
    await _write(view, labels[done:], counts[done:], {})


async def _write(view: View, labels: Labels, counts: Counts, there: dict[int, bytes | None]) -> None:
    """Write those of the rows that differ from what is there, and remove what is there besides."""
    for at in range(0, len(labels), ROWS):
        some = labels[at : at + ROWS]
        rows = [
            (tkey, row)
            for label, tkey, row in zip(some.tolist(), tkeys_of(some), packed(counts[at : at + ROWS]))
            if there.pop(label, None) != row
        ]
        await _commit(view, rows)
    rest = tkeys_of(np.array(list(there), np.uint64))
    for at in range(0, len(rest), ROWS):
        await _commit(view, [(tkey, b"") for tkey in rest[at : at + ROWS]])


async def _commit(view: View, rows: list[tuple[bytes, bytes]]) -> None:
    if not rows:
        return

    async def change(m: Mutation) -> None:
        for tkey, row in rows:
            if row:
                m.put(tkey, row)
            else:
                m.delete(tkey)

    # What a power failure takes back is done again, since the mark stays until the end.
    await view.edit("reload", change, durable=False)
    await asyncio.sleep(0)


async def finish(instance: LabelSz, view: View, counted: set[bytes]) -> None:
    """Count in the events that were queued, but for those that are counted, and trust the counts again."""
    await drain(view, counted, reloaded=True)
    # Versions made of this one meanwhile have queued as well.
    for version in sorted(instance.written(QUEUED.number)):
        node = instance.repo.dag.nodes.get(version)
        if node is not None and version != view.version and instance.repo.dag.is_ancestor(view.version, version):
            await drain(view.at(node))


async def drain(view: View, counted: Collection[bytes] = (), *, reloaded: bool = False) -> None:
    """Count in the events that were queued at a version, but for those that are counted."""

    async def change(m: Mutation) -> None:
        changes = []
        async for page in view.scan(*QUEUED.all()):
            for tkey, found in page:
                m.delete(tkey)
                if tkey not in counted and not isinstance(found, Disputed):
                    changes.append(unpack_changes(await found.read()))
        payload = None
        if changes:
            labels, sums = await view.run(folded, changes)
            await change_counts(m, labels, sums)
            payload = labels.tobytes()
        if reloaded:
            m.delete(RELOAD.key())
            payload = b""
        m.record(payload=payload)

    await view.edit("reload", change, locks=(LOCK,))
