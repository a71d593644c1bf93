"""Protobuf messages of labelmap.

    message SVCount      { map<uint64, uint32> counts = 1; uint64 surface_mutid = 2; }
    message LabelIndex   { map<uint64, SVCount> blocks = 1; uint64 label = 2; uint64 last_mutid = 3;
                           string last_mod_time = 4; string last_mod_user = 5; string last_mod_app = 6; }
    message LabelIndices { repeated LabelIndex indices = 1; }
    message MappingOp    { uint64 mutid = 1; uint64 mapped = 2; repeated uint64 original = 3; }
    message MappingOps   { repeated MappingOp mappings = 1; }

Thousands of indices have millions of entries, so they are read and written by columns.  What the kernel that reads does
not know goes to the protobuf library, which has the last word.  Functions are kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from dvid_messages import declare, parse
from numpy.typing import NDArray

from dvid_voxels.segmentation.body import UNTOUCHED, Body, Rows, Touch
from dvid_voxels.segmentation.packing import from_wire

from .compiled import kernels

Longs = NDArray[np.int64]
Labels = NDArray[np.uint64]

_CLASSES = declare(
    "dvid.labelmap",
    {
        "SVCount": ["map<uint64, uint32> counts = 1", "uint64 surface_mutid = 2"],
        "LabelIndex": [
            "map<uint64, SVCount> blocks = 1", "uint64 label = 2", "uint64 last_mutid = 3", "string last_mod_time = 4",
            "string last_mod_user = 5", "string last_mod_app = 6",
        ],
        "LabelIndices": ["repeated LabelIndex indices = 1"],
        "MappingOp": ["uint64 mutid = 1", "uint64 mapped = 2", "repeated uint64 original = 3"],
        "MappingOps": ["repeated MappingOp mappings = 1"],
    },
)  # fmt: skip
LabelIndex: Any = _CLASSES["LabelIndex"]
LabelIndices: Any = _CLASSES["LabelIndices"]
MappingOps: Any = _CLASSES["MappingOps"]


# -- mappings


def read_mappings(data: bytes) -> tuple[Labels, Labels]:
    """Supervoxels and their bodies, in the order they come.  Raises `BadRequest`."""
    raw, none = np.frombuffer(data, np.uint8), np.empty(0, np.uint64)
    odd, count = kernels().read_mappings(raw, False, none, none)
    if odd:
        return _parse_mappings(data)
    supervoxels, bodies = np.empty(count, np.uint64), np.empty(count, np.uint64)
    kernels().read_mappings(raw, True, supervoxels, bodies)
    return supervoxels, bodies


def _parse_mappings(data: bytes) -> tuple[Labels, Labels]:
    ops = parse(MappingOps, data).mappings
    originals = [np.array(op.original, np.uint64) for op in ops]
    if not originals:
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    bodies = np.repeat(np.array([op.mapped for op in ops], np.uint64), [len(o) for o in originals])
    return np.concatenate(originals), bodies


# -- indices that come in


def read_index(data: bytes) -> tuple[int, Body]:
    """The label and the index of a LabelIndex message.  Raises `BadRequest`."""
    found = _read_columns(data, False)
    if found is None:
        message = parse(LabelIndex, data)
        return message.label, _body_of(message)
    [one] = found
    return one


def read_indices(data: bytes) -> dict[int, Body]:
    """The indices of a LabelIndices message by their labels; of several for one the last.  Raises `BadRequest`."""
    found = _read_columns(data, True)
    if found is None:
        return {message.label: _body_of(message) for message in parse(LabelIndices, data).indices}
    return dict(found)


def _read_columns(data: bytes, many: bool) -> list[tuple[int, Body]] | None:
    """None where the protobuf library has to say what it means."""
    raw = np.frombuffer(data, np.uint8)
    odd, n, e, r = kernels().read_indices(raw, many, False, *_columns(0, 0, 0))
    if odd:
        return None
    columns = _columns(n, e, r)
    kernels().read_indices(raw, many, True, *columns)
    labels, mutations, texts, entry_ends, wire, surfaces, row_ends, supervoxels, voxels = columns
    touches = [_touch(data, *found) for found in zip(mutations.tolist(), texts.tolist())]
    if None in touches:
        return None
    blocks = from_wire(wire)
    owner = np.repeat(np.arange(n), np.diff(entry_ends, prepend=0))
    if not _distinct(owner, blocks):
        return None
    entry = np.repeat(np.arange(e), np.diff(row_ends, prepend=0))
    living = np.flatnonzero((voxels > 0) & (supervoxels > 0))
    order = living[np.lexsort((supervoxels[living], blocks[entry[living]], owner[entry[living]]))]
    body = owner[entry[order]]
    rows = Rows(blocks[entry[order]], supervoxels[order], voxels[order])
    if not _increasing(body, rows):
        return None
    bounds = np.searchsorted(body, np.arange(n + 1)).tolist()
    shown = np.flatnonzero(surfaces)
    with_surface = np.unique(owner[shown]).tolist()
    pairs = {i: _pairs(blocks, surfaces, shown[owner[shown] == i]) for i in with_surface}
    return [
        (label, Body(rows=_slice(rows, first, stop), touch=touch or UNTOUCHED, surfaces=pairs.get(i)))
        for i, (label, touch, (first, stop)) in enumerate(zip(labels.tolist(), touches, pairwise(bounds)))
    ]


def _slice(rows: Rows, first: int, stop: int) -> Rows:
    return Rows(rows.blocks[first:stop], rows.supervoxels[first:stop], rows.voxels[first:stop])


def _columns(n: int, e: int, r: int) -> tuple[Any, ...]:
    """Room for the columns of `kernels.read_indices`."""
    return (
        np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty((n, 3, 2), np.int64), np.empty(n, np.int64),
        np.empty(e, np.uint64), np.empty(e, np.uint64), np.empty(e, np.int64),
        np.empty(r, np.uint64), np.empty(r, np.uint32),
    )  # fmt: skip


def _touch(data: bytes, mutation: int, places: list[list[int]]) -> Touch | None:
    """Who changed an index last; None when a text is no UTF-8."""
    try:
        texts = [data[start:stop].decode() for start, stop in places]
    except UnicodeDecodeError:
        return None
    return Touch(mutation, *texts) if mutation or any(texts) else UNTOUCHED


def _distinct(owner: Longs, blocks: Labels) -> bool:
    """Whether no index names a block twice."""
    order = np.lexsort((blocks, owner))
    same = (owner[order][1:] == owner[order][:-1]) & (blocks[order][1:] == blocks[order][:-1])
    return not same.any()


def _increasing(body: Longs, rows: Rows) -> bool:
    """Whether no sorted row names the same block and supervoxel as the one before."""
    same = (rows.supervoxels[1:] == rows.supervoxels[:-1]) & (rows.blocks[1:] == rows.blocks[:-1])
    return not (same & (body[1:] == body[:-1])).any()


def _pairs(blocks: Labels, surfaces: Labels, which: NDArray[np.intp]) -> tuple[Labels, Labels]:
    return blocks[which], surfaces[which]


def _body_of(message: Any) -> Body:
    """The index of a LabelIndex: rows without zeros, sorted.  Raises `BadRequest`."""
    from_wire(np.array(list(message.blocks), np.uint64))  # those without rows are blocks too
    blocks: list[int] = []
    supervoxels: list[int] = []
    voxels: list[int] = []
    surfaces: list[tuple[int, int]] = []
    for block, counts in message.blocks.items():
        held = counts.counts
        blocks += [block] * len(held)
        supervoxels += held.keys()
        voxels += held.values()
        if counts.surface_mutid:
            surfaces.append((block, counts.surface_mutid))
    rows = Rows(from_wire(np.array(blocks, np.uint64)), np.array(supervoxels, np.uint64), np.array(voxels, np.uint32))
    rows = rows.take((rows.voxels > 0) & (rows.supervoxels > 0)).sorted()
    touch = Touch(message.last_mutid, message.last_mod_time, message.last_mod_user, message.last_mod_app)
    pairs = None
    if surfaces:
        columns = np.array(surfaces, np.uint64)
        pairs = from_wire(columns[:, 0]), columns[:, 1].copy()
    return Body(rows=rows, touch=UNTOUCHED if touch == UNTOUCHED else touch, surfaces=pairs)


# -- indices that go out


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def write_tail(label: int, touch: Touch) -> bytes:
    """The fields of an index behind its blocks."""
    out = b"\x10" + _varint(label)
    if touch is UNTOUCHED:
        return out
    if touch.mutation_id:
        out += b"\x18" + _varint(touch.mutation_id)
    for number, text in ((4, touch.time), (5, touch.user), (6, touch.app)):
        if text:
            raw = text.encode(errors="replace")
            out += bytes([number << 3 | 2]) + _varint(len(raw)) + raw
    return out


def surfaces_of(rows: Rows, body: Body | None) -> Labels:
    """The surface mutation id of each row's block, 0 where none is known."""
    if body is None or body.surfaces is None:
        return np.zeros(len(rows), np.uint64)
    blocks, ids = body.surfaces
    order = np.argsort(blocks)
    places = np.minimum(np.searchsorted(blocks[order], rows.blocks), len(blocks) - 1)
    hit = blocks[order][places] == rows.blocks
    return np.where(hit, ids[order][places], np.uint64(0))


def write_indices(found: Sequence[tuple[int, Rows, Body | None]]) -> list[bytes]:
    """LabelIndex messages: (label, its sorted rows, its body), a body that is None has an index with its label only."""
    if not found:
        return []
    parts = [rows for _, rows, _ in found]
    bounds = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    blocks, supervoxels = (np.concatenate([getattr(p, c) for p in parts]) for c in ("blocks", "supervoxels"))
    voxels = np.concatenate([p.voxels for p in parts])
    surfaces = np.empty(0, np.uint64)
    if any(body is not None and body.surfaces is not None for _, _, body in found):
        surfaces = np.concatenate([surfaces_of(rows, body) for _, rows, body in found])
    ends = np.zeros(len(found), np.int64)
    columns = (blocks, supervoxels, voxels, surfaces, bounds)
    size = kernels().write_indices(*columns, False, np.empty(0, np.uint8), ends)
    room = np.empty(size, np.uint8)
    kernels().write_indices(*columns, True, room, ends)
    data = room.data
    return [
        b"".join((data[start:stop], write_tail(label, UNTOUCHED if body is None else body.touch)))
        for (start, stop), (label, _, body) in zip(pairwise([0, *ends.tolist()]), found)
    ]


def write_stored(labels: Sequence[int], stored: Sequence[bytes | memoryview | None]) -> tuple[list[bytes], list[int]]:
    """A LabelIndices message of indices as they are stored, in pieces, and which of them it lacks.

    Nothing is stored of those that are empty; those that are None it lacks, and also those that are more than rows.
    They belong between the pieces.
    """
    sizes = np.array([-1 if data is None else len(data) for data in stored], np.int64)
    lengths = -(-np.maximum(sizes, 0) // 8)
    parts: list[bytes | memoryview] = []
    for data in stored:
        if data:
            parts += (data, _PADDING[len(data) % 8])
    words = np.frombuffer(b"".join(parts) or bytes(8), "<u8")
    columns = (words, np.cumsum(lengths) - lengths, sizes, np.array(labels, np.uint64))
    ends = np.empty(len(labels), np.int64)
    room = np.empty(kernels().write_stored(*columns, False, np.empty(0, np.uint8), ends), np.uint8)
    kernels().write_stored(*columns, True, room, ends)
    lacking = np.flatnonzero(ends < 0)
    cuts = [0, *(-1 - ends[lacking]).tolist(), len(room)]
    return [room[start:stop].tobytes() for start, stop in pairwise(cuts)], lacking.tolist()


_PADDING = [bytes(-n % 8) for n in range(8)]


def write_list(messages: Sequence[bytes]) -> bytes:
    """A LabelIndices message."""
    out = []
    for message in messages:
        out += [b"\x0a", _varint(len(message)), message]
    return b"".join(out)
