"""Messages are read by columns as the protobuf library reads them, whatever the bytes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dvid_labelmap import messages
from dvid_labelmap.compiled import kernels, warm
from dvid_labelmap.messages import LabelIndex, LabelIndices, MappingOps
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core import BadRequest
from dvid_core.testing import assert_releases_gil
from dvid_voxels.segmentation.body import NO_ROWS, UNTOUCHED, Body, Rows, Touch

U64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
U32 = st.integers(0, 2**32 - 1) | st.integers(0, 3)
BLOCK = st.integers(0, 2**63 - 1) | st.integers(0, 3) | st.just(1 << 20)
TEXT = st.sampled_from(["", "me", "ü", "2020-01-01T00:00:00Z"])
INDEX = st.fixed_dictionaries(
    {
        "blocks": st.dictionaries(BLOCK, st.tuples(st.dictionaries(U64, U32, max_size=4), U64), max_size=4),
        "label": U64,
        "last_mutid": U64,
        "last_mod_time": TEXT,
        "last_mod_user": TEXT,
        "last_mod_app": TEXT,
    }
)


@pytest.fixture(autouse=True, scope="module")
def warmed() -> None:
    """Compiling takes longer than a test may."""
    warm()


OPS = st.lists(st.tuples(U64, U64, st.lists(U64, max_size=5)), max_size=5)


def message_of(fields: dict[str, Any]) -> Any:
    """A LabelIndex."""
    made = LabelIndex(**{name: value for name, value in fields.items() if name != "blocks"})
    for block, (counts, surface) in fields["blocks"].items():
        made.blocks[block].counts.update(counts)
        made.blocks[block].surface_mutid = surface
    return made


def plain(body: Body) -> Any:
    """A body as values that compare."""
    rows = body.rows or NO_ROWS
    surfaces = None if body.surfaces is None else sorted(zip(*(c.tolist() for c in body.surfaces)))
    return rows.blocks.tolist(), rows.supervoxels.tolist(), rows.voxels.tolist(), body.touch, surfaces


def outcome(read: Any, data: bytes) -> Any:
    """What a reader makes of bytes, also when it refuses them."""
    try:
        return read(data)
    except BadRequest:
        return "refused"


def by_columns(data: bytes) -> Any:
    return {label: plain(body) for label, body in messages.read_indices(data).items()}


def by_library(data: bytes) -> Any:
    parsed = messages.parse(LabelIndices, data).indices
    return {message.label: plain(messages._body_of(message)) for message in parsed}


def one_by_library(data: bytes) -> Any:
    message = messages.parse(LabelIndex, data)
    return message.label, plain(messages._body_of(message))


def one_by_columns(data: bytes) -> Any:
    label, body = messages.read_index(data)
    return label, plain(body)


def mappings_by_library(data: bytes) -> Any:
    return [c.tolist() for c in messages._parse_mappings(data)]


def mappings_by_columns(data: bytes) -> Any:
    return [c.tolist() for c in messages.read_mappings(data)]


@given(st.lists(INDEX, max_size=4))
def test_indices_are_read_as_the_library_reads_them(fields: list[dict[str, Any]]) -> None:
    whole = LabelIndices(indices=[message_of(f) for f in fields])
    data = whole.SerializeToString()
    assert outcome(by_columns, data) == outcome(by_library, data)
    for index in whole.indices:
        one = index.SerializeToString()
        assert outcome(one_by_columns, one) == outcome(one_by_library, one)


@given(OPS, st.booleans())
def test_mappings_are_read_as_the_library_reads_them(ops: list[tuple[int, int, list[int]]], packed: bool) -> None:
    whole = MappingOps()
    for mutid, mapped, original in ops:
        whole.mappings.add(mutid=mutid, mapped=mapped, original=original)
    data = whole.SerializeToString() if packed else b"".join(unpacked(*op) for op in ops)
    assert mappings_by_columns(data) == mappings_by_library(data)


def varint(n: int, extra: int = 0) -> bytes:
    """A varint, with more bytes than it needs."""
    out = bytearray()
    while n > 127 or extra:
        out.append(n & 127 | 128)
        extra -= n <= 127 and extra > 0
        n >>= 7
    return bytes([*out, n])


def unpacked(mutid: int, mapped: int, original: list[int]) -> bytes:
    """A MappingOp as old writers make it, its fields in another order."""
    inside = b"".join(b"\x18" + varint(n) for n in original) + b"\x10" + varint(mapped) + b"\x08" + varint(mutid)
    return b"\x0a" + varint(len(inside)) + inside


@settings(max_examples=300)
@given(st.lists(INDEX, min_size=1, max_size=3), st.data())
def test_broken_messages_are_read_as_by_the_library(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    raw = bytearray(LabelIndices(indices=[message_of(f) for f in fields]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        if data.draw(st.booleans()):
            raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        else:
            del raw[at:]
    assert outcome(by_columns, bytes(raw)) == outcome(by_library, bytes(raw))
    assert outcome(one_by_columns, bytes(raw)) == outcome(one_by_library, bytes(raw))
    assert outcome(mappings_by_columns, bytes(raw)) == outcome(mappings_by_library, bytes(raw))


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_by_the_library(raw: bytes) -> None:
    assert outcome(by_columns, raw) == outcome(by_library, raw)
    assert outcome(one_by_columns, raw) == outcome(one_by_library, raw)
    assert outcome(mappings_by_columns, raw) == outcome(mappings_by_library, raw)


ENTRY = b"\x0a\x04\x08\x05\x10\x07"
ODD = {
    "fields of an entry in another order": b"\x0a\x0a\x12\x06" + ENTRY + b"\x08\x01",
    "a block that is named twice": (b"\x0a\x0a\x08\x01\x12\x06" + ENTRY) * 2,
    "a supervoxel that is counted twice": b"\x0a\x10\x08\x01\x12\x0c" + ENTRY + b"\x0a\x04\x08\x05\x10\x09",
    "an entry without a key": b"\x0a\x08\x12\x06" + ENTRY,
    "an entry without a value": b"\x0a\x02\x08\x01",
    "counts in two parts": b"\x0a\x12\x08\x01\x12\x06" + ENTRY + b"\x12\x06\x0a\x04\x08\x06\x10\x07",
    "long varints": b"\x0a\x0b\x08\x81\x00\x12\x06" + ENTRY + b"\x10" + varint(9, 3),
    "a count beyond 32 bits": b"\x0a\x0f\x08\x01\x12\x0b\x0a\x09\x08\x05\x10" + varint(2**32 + 7),
    "a field that nobody knows": b"\x38\x01\x0a\x0a\x08\x01\x12\x06" + ENTRY,
    "a label given twice": b"\x10\x03\x10\x04",
    "a text that is no UTF-8": b"\x22\x01\xff",
    "a block with -0": b"\x0a\x0a\x08\x00\x12\x06" + ENTRY + b"\x0a\x0d\x08" + varint(1 << 20) + b"\x12\x06" + ENTRY,
}


@pytest.mark.parametrize("name", ODD)
def test_what_protobuf_allows_besides_means_what_the_library_says(name: str) -> None:
    data = ODD[name]
    assert outcome(one_by_columns, data) == outcome(one_by_library, data)
    many = b"\x0a" + varint(len(data)) + data
    assert outcome(by_columns, many) == outcome(by_library, many)


@given(st.lists(INDEX, max_size=4))
def test_indices_that_go_out_say_what_came_in(fields: list[dict[str, Any]]) -> None:
    data = LabelIndices(indices=[message_of(f) for f in fields]).SerializeToString()
    if (found := outcome(messages.read_indices, data)) == "refused":
        return
    sent = messages.write_indices([(label, body.rows or NO_ROWS, body) for label, body in found.items()])
    again = by_library(messages.write_list(sent))
    kept = {label: plain(body) for label, body in found.items()}
    for label, (blocks, supervoxels, voxels, touch, surfaces) in kept.items():
        shown = [pair for pair in surfaces or [] if pair[0] in blocks]
        assert again[label] == (blocks, supervoxels, voxels, touch, shown or None)


@given(st.lists(INDEX, max_size=4), OPS)
def test_what_usual_libraries_write_is_read_without_the_library(
    fields: list[dict[str, Any]], ops: list[tuple[int, int, list[int]]]
) -> None:
    data = LabelIndices(indices=[message_of(f) for f in fields]).SerializeToString()
    odd, indices, entries, _ = kernels().read_indices(
        np.frombuffer(data, np.uint8), True, False, *messages._columns(0, 0, 0)
    )
    assert (odd, indices, entries) == (0, len(fields), sum(len(f["blocks"]) for f in fields))
    none = np.empty(0, np.uint64)
    whole = MappingOps(mappings=[{"mutid": m, "mapped": b, "original": o} for m, b, o in ops])
    found = kernels().read_mappings(np.frombuffer(whole.SerializeToString(), np.uint8), False, none, none)
    assert found == (0, sum(len(o) for _, _, o in ops))


def test_an_absent_index_has_its_label_only() -> None:
    [message] = messages.write_indices([(77, NO_ROWS, None)])
    assert LabelIndex.FromString(message) == LabelIndex(label=77)
    assert messages.write_indices([]) == []


def test_millions_of_entries_are_read_without_the_gil() -> None:
    rows = 300_000
    blocks = np.arange(rows, dtype=np.uint64) // 3 + np.uint64(2**62 + 2**41 + 2**20)
    columns = Rows(blocks, np.arange(rows, dtype=np.uint64) + np.uint64(2**40), np.full(rows, 9, np.uint32))
    body = Body(rows=columns, touch=Touch(5, "now", "me", "app"))
    [message] = messages.write_indices([(7, columns, body)])
    label, found = messages.read_index(message)
    assert (label, plain(found)) == (7, plain(body))
    assert found.touch is not UNTOUCHED
    assert_releases_gil(messages.read_index, message)
    assert_releases_gil(messages.write_indices, [(7, columns, body)])
    pairs = b"".join(varint(n) for n in range(2**40, 2**40 + 200_000))
    op = b"\x10\x05\x1a" + varint(len(pairs)) + pairs
    data = b"\x0a" + varint(len(op)) + op
    supervoxels, bodies = messages.read_mappings(data)
    assert (supervoxels == np.arange(2**40, 2**40 + 200_000, dtype=np.uint64)).all() and (bodies == 5).all()
    assert_releases_gil(messages.read_mappings, data)
