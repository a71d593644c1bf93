"""Values come back as they were sent, whatever their size, and replace one another whole."""

from __future__ import annotations

import gzip
import random
from collections.abc import AsyncIterator

import pytest

from .pairs import Pairs, packed_keys, unpacked, untarred

KIB, MIB = 1 << 10, 1 << 20
SIZES = (
    0, 1, 8 * KIB - 1, 8 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 2 * MIB - 1, 2 * MIB,
    2 * MIB + 1, 5_000_000,
)  # fmt: skip
"""Around all sizes at which something changes: in the store, in the way of keeping large values, in transport."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat, so that swapped or doubled pieces show."""
    return random.Random(size * 1000 + seed).randbytes(size)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_of_any_size_comes_back_in_every_way(kv: Pairs, size: int) -> None:
    value = content(size)
    await kv.put("k", value)
    assert await kv.get("k") == value
    assert await kv.keys() == ["k"]
    assert await kv.values(["k"]) == [("k", value)]
    assert await kv.range_values("a", "z") == [("k", value)]
    asked = await kv.demand("GET", "keyvalues?tar=true", json=["k"])
    assert untarred(asked) == untarred(await kv.demand("GET", "keyrangevalues/a/z?tar=true")) == [("k", value)]
    assert await kv.log() == [{"Action": "postkv", "Key": "k", "Bytes": size, "UUID": kv.uuid}]


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_of_unknown_length_is_stored_like_any_other(kv: Pairs, size: int) -> None:
    value = content(size, 1)
    await kv.put("k", pieces(value, 100_003))  # an async iterable goes out chunked
    assert await kv.get("k") == value


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_of_any_size_can_come_among_others(kv: Pairs, size: int) -> None:
    value = content(size, 2)
    await kv.put_many([("a", b"before"), ("k", value), ("z", b"behind")])
    assert await kv.all() == {"a": b"before", "k": value, "z": b"behind"}
    assert [r["Bytes"] for r in await kv.log()] == [6, size, 6]


@pytest.mark.parametrize("size", [s for s in SIZES if s])
async def test_any_part_of_a_value_can_be_read(kv: Pairs, size: int) -> None:
    value = content(size, 3)
    await kv.put("k", value)
    edges = {0, 1, size // 2, size - 1}
    edges |= {e + d for e in (64 * KIB, MIB, 2 * MIB, 4 * MIB) for d in (-1, 0, 1)}
    ends = sorted(e for e in edges if 0 <= e < size)
    for first in ends:
        for last in (e for e in ends if e >= first):
            part = value[first : last + 1]
            ranged = await kv.ask("GET", "key/k", headers={"Range": f"bytes={first}-{last}"})
            assert ranged.status == 206
            assert ranged.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
            assert ranged.headers["Content-Length"] == str(len(part))
            assert ranged.body == part
    for first, last in (
        (ends[0], ends[-1]),
        (ends[0], ends[0]),
        (ends[-1], ends[-1]),
        (ends[len(ends) // 2], ends[-1]),
    ):
        part = value[first : last + 1]
        assert await kv.demand("GET", f"key/k?byte_start={first}&byte_end={last}") == part
        assert unpacked(await kv.demand("GET", "keyvalues", packed_keys([], [("k", first, last)]))) == [("k", part)]
        asked = [{"key": "k", "byte_start": first, "byte_end": last}]
        assert untarred(await kv.demand("GET", "keyvalues?tar=true", json=asked)) == [("k", part)]


async def test_large_and_small_values_replace_each_other(kv: Pairs) -> None:
    for turn, size in enumerate((5_000_000, 10, MIB, 0, MIB + 1, 64 * KIB, 64 * KIB + 1, 3, 5_000_000, 3_000_000)):
        value = content(size, turn)
        await kv.put("k", value)
        assert await kv.get("k") == value
        assert await kv.all() == {"k": value}
    await kv.delete("k")
    assert await kv.get("k") is None
    assert await kv.all() == {}
    await kv.put("k", content(2 * MIB, 99))
    assert await kv.get("k") == content(2 * MIB, 99)


async def test_large_values_survive_in_old_versions_when_they_are_replaced_or_deleted(kv: Pairs) -> None:
    old, new = content(3 * MIB), content(2 * MIB)
    await kv.put_many({"replaced": old, "deleted": old, "kept": old})
    child = await kv.child()
    await child.put("replaced", new)
    await child.delete("deleted")
    assert await kv.all() == {"replaced": old, "deleted": old, "kept": old}
    assert await child.all() == {"replaced": new, "kept": old}


async def test_values_are_stored_as_sent_whatever_the_headers_say(kv: Pairs) -> None:
    body = gzip.compress(b"hello" * 1000)
    for n, headers in enumerate((
        {"Content-Encoding": "gzip"}, {"Content-Type": "application/json"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Type": "text/plain; charset=utf-16"},
        {"Content-Type": "nonsense"},
    )):  # fmt: skip
        await kv.demand("POST", f"key/{n}", body, headers=headers)
        answer = await kv.ask("GET", f"key/{n}", headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        assert answer.body == body
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("settings", [{}, {"Compression": "none"}, {"Compression": "gzip:9"}, {"Compression": "snappy"},
                                      {"Checksum": "crc32"}, {"Compression": "lz4", "Checksum": "crc32"}])  # fmt: skip
async def test_compression_and_checksum_never_show(kv: Pairs, settings: dict[str, str]) -> None:
    await kv.api.instance(kv.uuid, "packed", "keyvalue", **settings)
    there = Pairs(kv.api, kv.uuid, "packed")
    for value in (b"", b"a" * 100_000, content(1000), content(2 * MIB)):
        await there.put("k", value)
        assert await there.get("k") == value


async def test_an_empty_value_is_a_value(kv: Pairs) -> None:
    await kv.put_many({"a": b"", "b": b"7"})
    await kv.put("c", b"")
    assert await kv.get("a") == await kv.get("c") == b""
    assert await kv.all() == {"a": b"", "b": b"7", "c": b""}
    assert await kv.demand("GET", "keyrangevalues/a/c?json=true&check=true") == {"a": {}, "b": 7, "c": {}}
    assert await kv.demand("GET", "keyvalues?json=true&check=true", json=["c", "b", "a"]) == {"a": {}, "b": 7, "c": {}}
    assert untarred(await kv.demand("GET", "keyrangevalues/a/z?tar=true")) == [("a", b""), ("b", b"7"), ("c", b"")]
    for path in ("key/a?byte_start=0&byte_end=0", "key/a?byte_start=0"):
        assert (await kv.ask("GET", path)).status == 400
    for wanted in ("bytes=0-0", "bytes=0-", "bytes=-1"):
        answer = await kv.ask("GET", "key/a", headers={"Range": wanted})
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")
    child = await kv.child()
    assert await child.get("a") == b""
    await child.delete("a")
    assert await child.get("a") is None
    assert await child.keys() == ["b", "c"]
    assert await kv.get("a") == b""


async def test_a_deletion_of_nothing_is_no_error_and_is_logged(kv: Pairs) -> None:
    await kv.delete("none")
    assert await kv.get("none") is None
    assert await kv.log() == [{"Action": "delete", "Key": "none", "UUID": kv.uuid}]


async def test_a_get_may_have_a_body(kv: Pairs) -> None:
    await kv.put("k", b"value")
    for body in (b"", b"{}", b"x" * 100_000):
        assert await kv.demand("GET", "key/k", body) == b"value"
        assert await kv.demand("GET", "keys", body) == ["k"]
    assert (
        await kv.demand("GET", "key/k", headers={"Content-Length": "0", "Content-Type": "application/octet-stream"})
        == b"value"
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "MOVE"])
async def test_other_methods_change_nothing(kv: Pairs, method: str) -> None:
    await kv.put("k", b"value")
    for path in ("key/k", "key/new", "keys", "keyvalues", "keyrange/a/z"):
        answer = await kv.ask(method, path, b"other")
        assert answer.status in ((200, 204) if method == "OPTIONS" else (400, 405))
    for method in ("POST", "DELETE"):
        for path in ("keys", "keyrange/a/z", "keyrangevalues/a/z"):
            await kv.ask(method, path)
    assert (await kv.ask("DELETE", "keyvalues")).status in (400, 405)
    assert await kv.all() == {"k": b"value"}
    assert len(await kv.log()) == 1
