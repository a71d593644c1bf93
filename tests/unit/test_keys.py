"""Stored keys: packed values sort as the values do, no tkey begins another, and ranges hold what they say."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_core.keys import (
    I32,
    TEXT,
    U8,
    U16,
    U32,
    U64,
    ZYX,
    Field,
    KeyClass,
    Kind,
    Meta,
    blob_key,
    check_key_classes,
    chunk_key,
    data_prefix,
    instance_ranges,
    log_prefix,
    prefix_range,
    wrote_key,
)

# Bytes that are not UTF-8 come out of URLs as lone low surrogates.
ANY_BYTES = st.binary(max_size=4).map(lambda b: b.decode(errors="surrogateescape"))
TEXTS = st.one_of(st.text(), st.text("\x00\x01\x02ÿ", max_size=4), ANY_BYTES)
I32S = st.integers(-(2**31), 2**31 - 1)
FIELDS: dict[str, tuple[Field, st.SearchStrategy[Any]]] = {
    "u8": (U8, st.integers(0, 2**8 - 1)),
    "u16": (U16, st.integers(0, 2**16 - 1)),
    "u32": (U32, st.integers(0, 2**32 - 1)),
    "u64": (U64, st.integers(0, 2**64 - 1)),
    "i32": (I32, I32S),
    "text": (TEXT, TEXTS),
    "zyx": (ZYX, st.tuples(I32S, I32S, I32S)),
}
KINDS = st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3)


def order(value: Any) -> Any:
    """What a value is sorted by: texts by their bytes."""
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value


@st.composite
def classes(draw: st.DrawFn) -> tuple[KeyClass, st.SearchStrategy[tuple[Any, ...]]]:
    kinds = draw(KINDS)
    return (
        KeyClass(draw(st.integers(1, 254)), "a key", *(FIELDS[k][0] for k in kinds)),
        st.tuples(*(FIELDS[k][1] for k in kinds)),
    )


@given(classes(), st.data())
def test_key_unpacks_to_what_was_packed(made: Any, data: st.DataObject) -> None:
    kind, values = made
    value = data.draw(values)
    tkey = kind.key(*value)
    assert kind.unpack(tkey) == value
    assert tkey[0] == kind.number


@given(classes(), st.data())
def test_keys_sort_as_their_values_and_none_begins_another(made: Any, data: st.DataObject) -> None:
    kind, values = made
    a, b = data.draw(values), data.draw(values)
    packed = kind.key(*a), kind.key(*b)
    wanted = tuple(map(order, a)), tuple(map(order, b))
    assert (packed[0] < packed[1]) == (wanted[0] < wanted[1])
    assert (packed[0] == packed[1]) == (wanted[0] == wanted[1])
    if a != b:
        assert not packed[1].startswith(packed[0])


@given(classes(), st.data())
def test_ranges_hold_exactly_the_keys_they_name(made: Any, data: st.DataObject) -> None:
    kind, values = made
    low, high, value = data.draw(values), data.draw(values), data.draw(values)
    tkey = kind.key(*value)
    start, stop = kind.range(low[:1], high[:1])
    assert (start <= tkey < stop) == (order(low[0]) <= order(value[0]) <= order(high[0]))
    start, stop = kind.range(low, high)
    assert (start <= tkey < stop) == (tuple(map(order, low)) <= tuple(map(order, value)) <= tuple(map(order, high)))
    start, stop = kind.all()
    assert start <= tkey < stop
    start, stop = kind.all(low[0])
    assert (start <= tkey < stop) == (order(low[0]) == order(value[0]))


@given(TEXTS)
def test_text_of_any_bytes_comes_back(text: str) -> None:
    key = KeyClass(1, "name", TEXT, TEXT)
    assert key.unpack(key.key(text, "end")) == (text, "end")
    assert key.key(text.encode(errors="surrogateescape")) == key.key(text)


@pytest.mark.parametrize(("field", "value"), [(U8, 256), (U8, -1), (U32, 2**32), (I32, 2**31), (ZYX, (0, 0, 2**31))])
def test_number_that_does_not_fit_is_refused(field: Field, value: Any) -> None:
    with pytest.raises(struct.error):
        KeyClass(1, "number", field).key(value)


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_range_of_a_prefix_holds_all_keys_that_begin_with_it(prefix: bytes, key: bytes) -> None:
    start, stop = prefix_range(prefix)
    assert (start <= key < stop) == key.startswith(prefix)
    assert start <= prefix + key < stop


@pytest.mark.parametrize("number", [0, 255, -1, 1000])
def test_class_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="class number"):
        KeyClass(number, "a key", TEXT)


def test_two_classes_of_one_number_are_refused() -> None:
    with pytest.raises(ValueError, match="both 'first' and 'second'"):
        check_key_classes([KeyClass(1, "first", TEXT), KeyClass(2, "other", TEXT), KeyClass(1, "second", U8)])


@given(st.integers(0, 2**32 - 2), st.integers(0, 2**64 - 2), st.integers(0, 2**32 - 1))
def test_all_keys_of_an_instance_lie_in_its_ranges_and_those_of_the_next_do_not(
    instance: int, value_id: int, n: int
) -> None:
    def keys(i: int) -> list[bytes]:
        return [
            data_prefix(i) + b"\x01tkey", wrote_key(i, 1, n), log_prefix(i, n), chunk_key(i, value_id, n),
            *(kind.key(i, b"more") for kind in Kind),
        ]  # fmt: skip

    ranges = instance_ranges(instance)
    assert all(any(start <= key < stop for start, stop in ranges) for key in keys(instance))
    assert not any(start <= key < stop for start, stop in ranges for key in keys(instance + 1))
    start, stop = chunk_key(instance, value_id), chunk_key(instance, value_id + 1)
    assert start <= chunk_key(instance, value_id, n) < stop


def test_spaces_do_not_overlap() -> None:
    keys = [*(m.key() for m in Meta), data_prefix(1), log_prefix(1, 1), blob_key(b"\x00"), chunk_key(1, 1)]
    keys += [kind.key(1) for kind in Kind]
    assert len({key[:1] if key[0] not in (0, 5) else key for key in keys}) == len(Meta) + len(Kind) + 4
    assert len({m.value for m in Meta}) == len(Meta) and len({k.value for k in Kind}) == len(Kind)
