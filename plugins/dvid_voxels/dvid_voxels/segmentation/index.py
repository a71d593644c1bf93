"""Label indices in the store: reading them, setting counts, replacing them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Disputed, MergeConflict, Mutation, View

from .body import (
    NO_ROWS,
    SMALL,
    Body,
    Labels,
    Rows,
    Segments,
    cut,
    join_rows,
    join_segments,
    listed_twice,
    read_body,
    read_segment,
)  # fmt: skip
from .compiled import kernels
from .keys import BODY, SEGMENT
from .merging import FirstParent, may_dispute

WRITTEN, DELETED, LEFT = 0, 1, 2
"""What `kernels.set_rows` says of a body."""

AT_ONCE = 4096
"""Segments that are read at a time."""

INLINE = 10_000
"""Entries of indices that are worked on without a hop to a thread: a millisecond."""

LARGE = 1 << 20
"""Bytes of a head that is written in chunks before the commit that names it."""

EDIT_ROWS = 2_000_000
"""Rows of the indices of one request: some 20 MB in one commit."""


T = TypeVar("T")


class Reader(Protocol):
    """What reads values: a `View`, or a `Mutation` for what an edit depends on."""

    async def get_many(self, tkeys: Sequence[bytes]) -> list[bytes | None]: ...


async def read_bodies(source: Reader, labels: Sequence[int]) -> dict[int, Body]:
    """Those of the bodies that have an index."""
    stored = await source.get_many([BODY.key(label) for label in labels])
    return {label: read_body(data) for label, data in zip(labels, stored) if data is not None}


async def rows_of(source: Reader, body: Body) -> Rows:
    """All rows of a body, by block, then supervoxel.

    Raises `LookupError` when its segments are not what they were when its head was read.
    """
    if body.rows is not None:
        return body.rows
    if body.segments is None:
        return NO_ROWS
    rows = await read_segments(source, body.segments)
    if rows.total != body.voxels:
        raise LookupError("segments of the index were written over")
    return rows.sorted()


async def read_segments(source: Reader, segments: Segments) -> Rows:
    """The rows of segments, in their order.

    Raises `LookupError` when one is gone: the index was replaced between two reads.
    """
    parts = []
    names = list(zip(segments.owners.tolist(), segments.supervoxels.tolist(), segments.cells.tolist()))
    for at in range(0, len(names), AT_ONCE):
        some = names[at : at + AT_ONCE]
        for (_, supervoxel, cell), data in zip(some, await source.get_many([SEGMENT.key(*n) for n in some])):
            if data is None:
                raise LookupError(f"a segment of supervoxel {supervoxel} is gone")
            parts.append(read_segment(data, supervoxel, cell))
    return join_rows(parts)


async def rows_of_supervoxel(source: Reader, body: Body, supervoxel: int) -> Rows:
    """The rows of one supervoxel, by block."""
    if body.rows is not None:
        return body.rows.take(body.rows.supervoxels == supervoxel)
    if body.segments is None:
        return NO_ROWS
    return (await read_segments(source, body.segments.take(body.segments.supervoxels == supervoxel))).sorted()


def stage_rows(m: Mutation, label: int, rows: Rows, body: Body) -> None:
    """Put an index of these rows, sorted, with the rest of `body`; its segments are new ones."""
    if not len(rows):
        m.delete(BODY.key(label))
        return
    if len(rows) <= SMALL:
        m.put(BODY.key(label), msgspec.structs.replace(body, rows=rows, segments=None).pack())
        return
    segments, stored = cut(rows, random.getrandbits(64))
    stage_segments(m, segments, stored)
    m.put(BODY.key(label), msgspec.structs.replace(body, rows=None, segments=segments).pack())


def stage_segments(m: Mutation, segments: Segments, stored: Iterable[bytes | None]) -> None:
    """Put segments; None deletes one."""
    names = zip(segments.owners.tolist(), segments.supervoxels.tolist(), segments.cells.tolist())
    for name, data in zip(names, stored):
        if data is None:
            m.delete(SEGMENT.key(*name))
        else:
            m.put(SEGMENT.key(*name), data)


def stage_drop(m: Mutation, body: Body) -> None:
    """Delete the segments of an index that is replaced; its head is the caller's business."""
    if body.segments is not None:
        stage_segments(m, body.segments, [None] * len(body.segments))


async def replace_index(m: Mutation, label: int, body: Body, old: Body | None) -> None:
    """Put the index of a body, given with rows, in the place of `old`; without rows it is deleted."""
    if old is not None:
        stage_drop(m, old)
    stage_rows(m, label, body.rows or NO_ROWS, body)


class Change(msgspec.Struct, frozen=True):
    """Counts to set: rows sorted by body, block and supervoxel; 0 voxels remove a row."""

    bodies: list[int]
    bounds: NDArray[np.int64]
    """The rows of bodies[i] are bounds[i] to bounds[i + 1]."""
    rows: Rows


def change_of(labels: Labels, rows: Rows) -> Change:
    """A kernel: the change of rows whose bodies are `labels`, none 0."""
    order = np.lexsort((rows.supervoxels, rows.blocks, labels))
    labels, rows = labels[order], rows.take(order)
    first = np.ones(len(labels), bool)
    first[1:] = labels[1:] != labels[:-1]
    starts = np.flatnonzero(first)
    return Change(labels[starts].tolist(), np.append(starts, len(labels)).astype(np.int64), rows)


async def set_counts(m: Mutation, change: Change) -> None:
    """Set counts in the indices of bodies.  The caller holds their locks."""
    keys = [BODY.key(label) for label in change.bodies]
    # In one process the locks are enough; expecting each value again takes a read of it when it is committed.
    merged = may_dispute(m.view, BODY.number)
    if merged:
        await settle_indices(m, change.bodies)
    source: Reader = m if merged or m.view.instance.store.limits.uncertain else m.view
    stored = await source.get_many(keys)
    values, state = await m.view.run(_set_small, change, stored)
    for i, (label, key) in enumerate(zip(change.bodies, keys)):
        if state[i] == WRITTEN:
            m.put(key, values[i])
        elif state[i] == DELETED:
            m.delete(key)
        elif state[i] == LEFT:
            some = change.rows.take(np.arange(change.bounds[i], change.bounds[i + 1]))
            await _set_in_body(m, label, stored[i], some)


def _set_small(change: Change, stored: Sequence[bytes | None]) -> tuple[list[bytes], list[int]]:
    """A kernel: new values of small indices, and what became of each body."""
    parts = [b"" if data is None else bytes(data) for data in stored]
    sizes = np.array([len(p) for p in parts], np.int64)
    words = -(-sizes // 8)
    starts = np.cumsum(words) - words
    old = np.frombuffer(b"".join([p + bytes(-len(p) % 8) for p in parts]) or bytes(8), "<u8")
    # Rows of 20 bytes, and a head and a rest for each body.
    room = np.empty(int(words.sum()) + 5 * len(parts) + 3 * len(change.rows), np.uint64)
    places, lengths = np.zeros(len(parts), np.int64), np.zeros(len(parts), np.int64)
    state = np.empty(len(parts), np.uint8)
    rows = change.rows
    kernels().set_rows(
        old, starts, sizes, change.bounds, rows.blocks, rows.supervoxels, rows.voxels.astype(np.uint32, copy=False),
        SMALL, room, room.view(np.uint32), places, lengths, state,
    )  # fmt: skip
    data = room.view(np.uint8).data
    values = [bytes(data[8 * p : 8 * p + n]) for p, n in zip(places.tolist(), lengths.tolist())]
    return values, state.tolist()


async def _set_in_body(m: Mutation, label: int, data: bytes | None, changes: Rows) -> None:
    """The same for one body of any size."""
    body = Body() if data is None else read_body(data)
    if body.segments is not None:
        await _set_in_segments(m, label, body, changes)
    else:
        stage_rows(m, label, (body.rows or NO_ROWS).replaced(changes), body)


async def _set_in_segments(m: Mutation, label: int, body: Body, changes: Rows) -> None:
    assert body.segments is not None
    known = {
        (s, c): i for i, (s, c) in enumerate(zip(body.segments.supervoxels.tolist(), body.segments.cells.tolist()))
    }
    touched, _ = cut(changes, 0)
    hits = [known.get(n) for n in zip(touched.supervoxels.tolist(), touched.cells.tolist())]
    old = body.segments.take(np.array([i for i in hits if i is not None], np.intp))
    rows = (await read_segments(m, old)).replaced(changes)
    keep = np.ones(len(body.segments), bool)
    keep[[i for i in hits if i is not None]] = False
    owners = {(s, c): o for s, c, o in zip(old.supervoxels.tolist(), old.cells.tolist(), old.owners.tolist())}
    fresh, stored = cut(rows, random.getrandbits(64))
    names = list(zip(fresh.supervoxels.tolist(), fresh.cells.tolist()))
    fresh = msgspec.structs.replace(
        fresh, owners=np.array([owners.get(n, o) for n, o in zip(names, fresh.owners.tolist())], np.uint64)
    )
    stage_segments(m, fresh, stored)
    left = set(names)
    gone = [n not in left for n in zip(old.supervoxels.tolist(), old.cells.tolist())]
    lost = old.take(np.array(gone, bool))
    stage_segments(m, lost, [None] * len(lost))
    kept = body.segments.take(keep)
    columns = zip(*((p.supervoxels, p.owners, p.cells, p.voxels) for p in (kept, fresh)))
    segments = Segments(*map(np.concatenate, columns)).sorted()
    if not len(segments):
        m.delete(BODY.key(label))
        return
    m.put(BODY.key(label), msgspec.structs.replace(body, segments=segments).pack())


async def settle_indices(m: Mutation, labels: Sequence[int]) -> None:
    """Put indices into a version of several parents as they are seen there, so that counts can be set in them.

    One that is disputed is taken from the first parent; segments are put anew, as another side may have changed them.
    What the version or the edit has of its own stays.
    """
    keys = [BODY.key(label) for label in labels]
    below = []
    for label, key, value in zip(labels, keys, await m.view.find_many(keys)):
        try:
            held = await m.get(key)
        except MergeConflict:
            below.append(label)
            continue
        if held is None or value is None or isinstance(value, Disputed) or await _written_here(m.view, key):
            continue
        if held == await value.read() and read_body(held).segments is not None:
            below.append(label)
    for label, (body, rows) in (await first_indices(m.view, below)).items():
        stage_rows(m, label, rows, body)


async def _written_here(view: View, tkey: bytes) -> bool:
    # The layout of data keys: prefix, tkey, the version counted down.
    key = view.instance.prefix + tkey + (2**32 - 1 - view.version).to_bytes(4, "big")
    return await view.instance.store.get(key) is not None


async def first_indices(view: View, labels: Sequence[int]) -> dict[int, tuple[Body, Rows]]:
    """Those of the bodies that have an index, with all rows; disputed ones as the first parent has them."""
    reader = FirstParent(view)
    found = await read_bodies(reader, labels)
    sources = await reader.origins(labels)
    return {
        label: (found[label], await rows_of(source, found[label]))
        for label, source in zip(labels, sources)
        if label in found
    }


async def join_bodies(m: Mutation, bodies: Sequence[Body]) -> Body:
    """One index of all that several have, with the rest of the first; what it has to store anew is staged.

    Segments stay where they are.  Of entries that several have, as posted indices may, one is kept.
    """
    if all(body.segments is None for body in bodies):
        rows = await off_loop(m.view, sum(b.entries for b in bodies), _joined_rows, bodies)
        if len(rows) <= SMALL:
            return msgspec.structs.replace(bodies[0], rows=rows, segments=None)
        bodies = [Body(rows=rows, touch=bodies[0].touch, surfaces=bodies[0].surfaces)]
    entries = sum(b.entries for b in bodies)
    segments, fresh, stored, twice = await off_loop(m.view, entries, _joined_segments, bodies)
    stage_segments(m, fresh, stored)
    if twice.any():
        rows = NO_ROWS.replaced(await read_segments(m, segments.take(twice)))
        made, stored = cut(rows, random.getrandbits(64))
        stage_segments(m, made, stored)
        segments = join_segments([segments.take(~twice), made])
    return msgspec.structs.replace(bodies[0], rows=None, segments=segments)


def _joined_rows(bodies: Sequence[Body]) -> Rows:
    return NO_ROWS.replaced(join_rows([b.rows for b in bodies if b.rows is not None]))


def _joined_segments(bodies: Sequence[Body]) -> tuple[Segments, Segments, list[bytes], NDArray[np.bool_]]:
    """A kernel: all segments, those of them that have to be stored, their stored forms, which are listed twice."""
    fresh, stored = cut(_joined_rows(bodies), random.getrandbits(64))
    segments = join_segments([*(b.segments for b in bodies if b.segments is not None), fresh])
    return segments, fresh, stored, listed_twice(segments)


async def off_loop(view: View, entries: int, kernel: Callable[..., T], *args: Any) -> T:
    """What a kernel over so many entries of indices gives, computed in a thread unless that takes longer than it."""
    return kernel(*args) if entries < INLINE else await view.run(kernel, *args)


async def put_body(m: Mutation, label: int, body: Body) -> None:
    """Put the head of an index; its segments are stored or staged already.  One without entries is deleted."""
    if body.empty:
        m.delete(BODY.key(label))
        return
    data = await off_loop(m.view, body.entries, body.pack)
    m.put(BODY.key(label), data if len(data) <= LARGE else await m.view.stage(_pieces(data)))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), LARGE):
        yield data[at : at + LARGE]


def check_rows(count: int) -> None:
    """Raise `BadRequest` when one request has too many rows for one commit."""
    if count > EDIT_ROWS:
        raise BadRequest(f"the indices have {count} blocks and supervoxels; one request can set {EDIT_ROWS}")


async def sizes_of(source: Reader, labels: Sequence[int]) -> list[int]:
    """The voxels of bodies; 0 for those without an index."""
    found = await source.get_many([BODY.key(label) for label in labels])
    return [0 if data is None else int.from_bytes(data[8:16], "little") for data in found]
