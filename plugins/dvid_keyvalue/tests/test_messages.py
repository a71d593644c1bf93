"""Protobuf bodies: what is no message is refused and changes nothing, what is one does what the parser says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from dvid_keyvalue.uploads import read_pairs
from dvid_messages.keyvalues import Keys, KeyValues
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvid_core import BadRequest

from .pairs import Pairs, packed, packed_keys, unpacked

KEYS = st.text(max_size=12) | st.sampled_from(["a", "b", "é"])
MESSAGES = st.lists(st.tuples(KEYS, st.binary(max_size=40)), max_size=6).map(packed)
ASKED = st.builds(
    packed_keys,
    st.lists(KEYS, max_size=5),
    st.lists(st.tuples(KEYS, st.integers(0, 2**64 - 1) | st.integers(0, 9), st.integers(0, 9)), max_size=4),
)


@st.composite
def mutated(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message with a few of its bytes changed, removed or added."""
    data = bytearray(draw(messages))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["set", "cut", "add", "copy"]))
        if kind == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 5))]
        elif kind == "add":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "copy":
            data[at:at] = data[draw(st.integers(0, len(data))) :][:20]
    return bytes(data)


BODIES = st.binary(max_size=60) | MESSAGES | mutated(MESSAGES)
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)


async def each(bodies: st.SearchStrategy[Any], check: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run an asynchronous check for many bodies on this event loop; hypothesis itself is in a thread."""
    loop = asyncio.get_running_loop()

    @FUZZ
    @given(bodies)
    def run(body: Any) -> None:
        asyncio.run_coroutine_threadsafe(check(body), loop).result(30)

    await asyncio.to_thread(run)


def meaning(body: bytes) -> list[tuple[str, bytes]] | None:
    """The pairs of a message that may be put; None when it must be refused."""
    try:
        pairs = unpacked(body)
    except (DecodeError, ValueError):
        return None
    return None if any(not key for key, _ in pairs) else pairs


async def test_any_posted_bytes_are_put_whole_or_refused(kv: Pairs) -> None:
    held: dict[str, bytes] = {}

    async def check(body: bytes) -> None:
        answer, pairs = await kv.ask("POST", "keyvalues", body), meaning(body)
        assert answer.status == (400 if pairs is None else 200), answer.text
        if pairs is None:
            assert answer.headers["Content-Type"].startswith("text/plain")
        else:
            held.update(pairs)
        assert await kv.keys() == sorted(held, key=str.encode)
        if pairs is None or pairs:
            assert await kv.all() == {key: held[key] for key in sorted(held, key=str.encode)}

    await each(BODIES, check)


async def test_any_bytes_may_be_asked(kv: Pairs) -> None:
    there = {"a": b"0123456789", "b": b"", "é": b"{}"}
    await kv.put_many(there)

    async def check(body: bytes) -> None:
        answer = await kv.ask("GET", "keyvalues", body)
        try:
            message: Any = Keys.FromString(body)
        except (DecodeError, ValueError):
            assert answer.status == 400
            return
        wanted = [(key, there.get(key, b"")) for key in message.keys]
        for part in message.key_ranges:
            value, first, last = there.get(part.key), part.byte_start, part.byte_end
            if value is not None and not first <= last < len(value):
                assert answer.status == 400
                return
            wanted.append((part.key, (value or b"")[first : last + 1]))
        assert answer.status == 200
        assert unpacked(answer.body) == wanted

    await each(st.binary(max_size=60) | ASKED | mutated(ASKED), check)
    assert await kv.all() == there


@pytest.mark.parametrize("form", ["json", "tar"])
async def test_any_bytes_may_be_asked_in_json(kv: Pairs, form: str) -> None:
    await kv.put_many({"a": b"0123456789", "b": b""})
    names = st.sampled_from(["key", "byte_start", "byte_end", "x"])
    lists = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    )

    async def check(body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await kv.ask("GET", f"keyvalues?{form}=true", data)
        assert answer.status in (200, 400), answer.text

    await each(st.binary(max_size=40) | lists, check)
    assert await kv.all() == {"a": b"0123456789", "b": b""}


async def test_any_query_and_range_header_is_answered(kv: Pairs) -> None:
    await kv.put("a", b"0123456789")
    texts = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=25)
    ranges = texts | st.from_regex(r"bytes=[0-9]{0,3}-[0-9]{0,3}", fullmatch=True)

    async def check(given: tuple[str, str]) -> None:
        query, header = given
        answer = await kv.ask("GET", f"key/a?{query}", headers={"Range": header})
        assert answer.status in (200, 206, 400, 416)
        if answer.status == 206:
            assert 0 < len(answer.body) <= 10

    await each(st.tuples(texts, ranges), check)


# -- messages that come in pieces


async def arriving(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(data: bytes, size: int) -> list[tuple[str, bytes]]:
    """What is read of a message that comes in pieces of this size."""
    out = []
    async for key, value in read_pairs(arriving(data, size)):
        out.append((key, value if isinstance(value, bytes) else b"".join([piece async for piece in value])))
    return out


LONG = (1 << 20) + 5
STRANGE_PAIRS = {
    "value before key": b"\x12\x02xy" + b"\x0a\x01k",
    "value twice": b"\x0a\x01k" + b"\x12\x01a" + b"\x12\x02bc",
    "no value": b"\x0a\x01k",
    "no key": b"\x12\x01a",
    "nothing": b"",
    "unknown fields": b"\x0a\x01k" + b"\x1a\x02zz" + b"\x20\x05" + b"\x12\x01a" + b"\x29" + b"12345678",
    "a length with needless digits": b"\x0a\x81\x80\x00k" + b"\x12\x81\x00a",
}


def entry(content: bytes) -> bytes:
    size, out = len(content), b"\x0a"
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size]) + content


@pytest.mark.parametrize("size", [1, 3, 1000, 65536, 1 << 22])
async def test_a_message_reads_the_same_however_it_is_cut(size: int) -> None:
    pairs = [("a", b""), ("b", b"x" * 127), ("c", b"x" * 128), ("d", b"x" * 20_000), ("e", b"")]
    if size > 1:
        pairs += [("long", b"y" * LONG), ("é" * 100, b"z"), ("long too", b"y" * 3_000_000), ("end", b"1")]
    assert await read(packed(pairs), size) == pairs
    assert await read(b"", size) == []


@pytest.mark.parametrize("name", STRANGE_PAIRS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_unusual_but_valid_pairs_mean_what_the_parser_says(name: str, size: int) -> None:
    data = packed([("before", b"1")]) + entry(STRANGE_PAIRS[name]) + packed([("after", b"2")])
    assert await read(data, size) == unpacked(data)
    if size > 1:
        for long in (
            entry(STRANGE_PAIRS[name] + b"\x1a" + entry(b"q" * LONG)[1:]),
            entry(b"\x1a" + entry(b"q" * LONG)[1:] + STRANGE_PAIRS[name]),
        ):
            data = packed([("before", b"1")]) + long + packed([("after", b"2")])
            assert await read(data, size) == unpacked(data)


@pytest.mark.parametrize("size", [1, 100_000])
async def test_foreign_fields_of_the_message_are_passed_over(size: int) -> None:
    for foreign in (b"\x10\x05", b"\x12\x03abc", b"\x1d1234", b"\x1912345678"):
        data = packed([("before", b"1")]) + foreign + packed([("after", b"2")])
        assert await read(data, size) == unpacked(data) == [("before", b"1"), ("after", b"2")]


@pytest.mark.parametrize("data", [
    b"\x0a", b"\x0a\x05", b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x0a\x80\x80\x80\x80\x80\x01a", b"\x00",
    b"\x0b", b"\x0c", b"\x0a\x02\x0a\x05", entry(b"\x0a\x02\xff\xfe"),
    entry(b"\x0a\x02\xff\xfe\x12" + entry(b"x" * LONG)[1:]),
    entry(b"\x0a\x01k\x12" + entry(b"x" * LONG)[1:])[:-1], entry(b"\x0a\xff\xff\x7f" + b"k" * LONG), entry(b"k" * LONG),
    b"\x0a\xff\xff\xff\xff\x07", b"\x0a\xff\xff\xff\xff\x07\x0a\x01k\x10\x01", b"\x07" * 10,
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 70_000])
async def test_what_is_no_message_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(BadRequest):
        await read(data, 1000 if size == 1 and len(data) > 1000 else size)


def test_any_message_reads_as_the_parser_reads_it() -> None:
    @FUZZ
    @given(BODIES, st.integers(1, 30))
    def check(body: bytes, size: int) -> None:
        try:
            wanted = [(pair.key, pair.value) for pair in KeyValues.FromString(body).kvs]
        except (DecodeError, ValueError):
            with pytest.raises(BadRequest):
                asyncio.run(read(body, size))
        else:
            assert asyncio.run(read(body, size)) == wanted

    check()
