"""Protobuf: mappings and label indices as clients send and get them.

    message SVCount      { map<uint64, uint32> counts = 1; uint64 surface_mutid = 2; }
    message LabelIndex   { map<uint64, SVCount> blocks = 1; uint64 label = 2; uint64 last_mutid = 3;
                           string last_mod_time = 4; string last_mod_user = 5; string last_mod_app = 6; }
    message LabelIndices { repeated LabelIndex indices = 1; }
    message MappingOp    { uint64 mutid = 1; uint64 mapped = 2; repeated uint64 original = 3; }
    message MappingOps   { repeated MappingOp mappings = 1; }

What comes in is read by the protobuf library.  Indices that go out are written by columns: thousands of them have
hundreds of thousands of entries.  Functions are kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from dvid_core import BadRequest
from dvid_voxels.segmentation.body import UNTOUCHED, Body, Rows, Touch
from dvid_voxels.segmentation.packing import from_wire, to_wire

_F = descriptor_pb2.FieldDescriptorProto

Longs = NDArray[np.int64]


def _declare() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="dvid_labelmap.proto", package="dvid.labelmap", syntax="proto3")

    def message(parent: Any, name: str, *fields: tuple[str, int, int, str, bool]) -> Any:
        made = parent.add(name=name)
        for field, number, kind, of, repeated in fields:
            added = made.field.add(name=field, number=number, type=kind)
            added.label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
            if of:
                added.type_name = f".dvid.labelmap.{of}"
        return made

    def entry(parent: Any, name: str, kind: int, of: str = "") -> None:
        made = message(parent, name, ("key", 1, _F.TYPE_UINT64, "", False), ("value", 2, kind, of, False))
        made.options.map_entry = True

    types = file.message_type
    u64, u32, text, sub = _F.TYPE_UINT64, _F.TYPE_UINT32, _F.TYPE_STRING, _F.TYPE_MESSAGE
    count = message(
        types, "SVCount", ("counts", 1, sub, "SVCount.CountsEntry", True), ("surface_mutid", 2, u64, "", False)
    )
    entry(count.nested_type, "CountsEntry", u32)
    index = message(
        types, "LabelIndex", ("blocks", 1, sub, "LabelIndex.BlocksEntry", True), ("label", 2, u64, "", False),
        ("last_mutid", 3, u64, "", False), ("last_mod_time", 4, text, "", False),
        ("last_mod_user", 5, text, "", False), ("last_mod_app", 6, text, "", False),
    )  # fmt: skip
    entry(index.nested_type, "BlocksEntry", sub, "SVCount")
    message(types, "LabelIndices", ("indices", 1, sub, "LabelIndex", True))
    message(
        types, "MappingOp", ("mutid", 1, u64, "", False), ("mapped", 2, u64, "", False), ("original", 3, u64, "", True)
    )
    message(types, "MappingOps", ("mappings", 1, sub, "MappingOp", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_CLASSES = _declare()
LabelIndex: Any = _CLASSES["dvid.labelmap.LabelIndex"]
LabelIndices: Any = _CLASSES["dvid.labelmap.LabelIndices"]
MappingOps: Any = _CLASSES["dvid.labelmap.MappingOps"]


def parse(kind: Any, data: bytes) -> Any:
    """A message of the bytes; `BadRequest` when they are none."""
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as err:
        raise BadRequest(f"the body is no protobuf {kind.DESCRIPTOR.name}: {err}") from None


# -- mappings


def read_mappings(data: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Supervoxels and their bodies, in the order they come.  Raises `BadRequest`."""
    ops = parse(MappingOps, data).mappings
    originals = [np.array(op.original, np.uint64) for op in ops]
    if not originals:
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    bodies = np.repeat(np.array([op.mapped for op in ops], np.uint64), [len(o) for o in originals])
    return np.concatenate(originals), bodies


# -- indices that come in


def read_index(message: Any) -> Body:
    """The index of a LabelIndex: rows without zeros, sorted.  Raises `BadRequest`."""
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
    if touch == UNTOUCHED:
        touch = UNTOUCHED
    pairs = None
    if surfaces:
        columns = np.array(surfaces, np.uint64)
        pairs = from_wire(columns[:, 0]), columns[:, 1].copy()
    return Body(rows=rows, touch=touch, surfaces=pairs)


# -- indices that go out


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _lengths(values: NDArray[Any]) -> Longs:
    """Bytes of each value as a varint."""
    out = np.ones(len(values), np.int64)
    rest = values.astype(np.uint64) >> np.uint64(7)
    while rest.any():
        out += rest > 0
        rest >>= np.uint64(7)
    return out


def _write(out: NDArray[np.uint8], at: Longs, values: NDArray[Any]) -> None:
    """Put varints where they belong."""
    rest, at = values.astype(np.uint64), at.copy()
    while len(rest):
        more = rest > 127
        out[at] = (rest & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        rest, at = rest[more] >> np.uint64(7), at[more] + 1


def write_blocks(rows: Rows, bounds: Longs, surfaces: NDArray[np.uint64] | None = None) -> list[bytes]:
    """The `blocks` fields of several indices: rows[bounds[i] : bounds[i + 1]] are those of the i-th, sorted by block.

    `surfaces` has the surface mutation id of each row's block, where any is known.
    """
    if not len(rows):
        return [b""] * (len(bounds) - 1)
    entry = 2 + _lengths(rows.supervoxels) + _lengths(rows.voxels)
    row_size = 2 + entry
    first = np.ones(len(rows), bool)
    first[1:] = rows.blocks[1:] != rows.blocks[:-1]
    starts = bounds[:-1][bounds[:-1] < bounds[1:]]
    first[starts] = True
    group = np.flatnonzero(first)
    keys = to_wire(rows.blocks[group])
    counts = np.add.reduceat(row_size, group)
    shown = np.zeros(len(group), np.uint64) if surfaces is None else surfaces[group]
    has = shown > 0
    counts = counts + np.where(has, 1 + _lengths(shown), 0)
    inner = 1 + _lengths(keys) + 1 + _lengths(counts) + counts
    group_size = 1 + _lengths(inner) + inner
    group_at = np.cumsum(group_size) - group_size
    out = np.empty(int(group_size.sum()), np.uint8)
    # Heads of blocks.
    at = group_at
    out[at] = 0x0A
    _write(out, at + 1, inner)
    at = at + 1 + _lengths(inner)
    out[at] = 0x08
    _write(out, at + 1, keys)
    at = at + 1 + _lengths(keys)
    out[at] = 0x12
    _write(out, at + 1, counts)
    rows_at = at + 1 + _lengths(counts)
    # Their counts.
    number = np.cumsum(first) - 1
    before = np.cumsum(row_size) - row_size
    at = rows_at[number] + before - before[group][number]
    out[at] = 0x0A
    out[at + 1] = entry  # below 128
    out[at + 2] = 0x08
    _write(out, at + 3, rows.supervoxels)
    at = at + 3 + _lengths(rows.supervoxels)
    out[at] = 0x10
    _write(out, at + 1, rows.voxels)
    if has.any():
        at = (group_at + group_size)[has] - 1 - _lengths(shown[has])
        out[at] = 0x10
        _write(out, at + 1, shown[has])
    ends = np.append(group_at, len(out))[np.searchsorted(group, bounds)]
    data = out.tobytes()
    return [data[a:b] for a, b in zip(ends[:-1].tolist(), ends[1:].tolist())]


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


def surfaces_of(rows: Rows, body: Body) -> NDArray[np.uint64] | None:
    """The surface mutation id of each row's block; None when none is known."""
    if body.surfaces is None:
        return None
    blocks, ids = body.surfaces
    order = np.argsort(blocks)
    places = np.minimum(np.searchsorted(blocks[order], rows.blocks), len(blocks) - 1)
    hit = blocks[order][places] == rows.blocks
    return np.where(hit, ids[order][places], np.uint64(0))


def write_indices(found: Sequence[tuple[int, Rows, Body | None]]) -> list[bytes]:
    """LabelIndex messages: (label, its sorted rows, its body), a body that is None has an index with its label only."""
    bounds = np.cumsum([0, *(len(rows) for _, rows, _ in found)], dtype=np.int64)
    joined = Rows(
        np.concatenate([r.blocks for _, r, _ in found] or [np.empty(0, np.uint64)]),
        np.concatenate([r.supervoxels for _, r, _ in found] or [np.empty(0, np.uint64)]),
        np.concatenate([r.voxels for _, r, _ in found] or [np.empty(0, np.uint32)]),
    )
    surfaces = None
    if any(body is not None and body.surfaces is not None for _, _, body in found):
        none = np.zeros(0, np.uint64)
        parts = [
            none
            if body is None
            else s
            if (s := surfaces_of(rows, body)) is not None
            else np.zeros(len(rows), np.uint64)
            for _, rows, body in found
        ]
        surfaces = np.concatenate(parts)
    blocks = write_blocks(joined, bounds, surfaces)
    return [
        part + write_tail(label, UNTOUCHED if body is None else body.touch)
        for part, (label, _, body) in zip(blocks, found)
    ]


def write_list(messages: Sequence[bytes]) -> bytes:
    """A LabelIndices message."""
    out = []
    for message in messages:
        out += [b"\x0a", _varint(len(message)), message]
    return b"".join(out)
