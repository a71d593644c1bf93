"""Uploads that break off, lie about their length or change their mind leave the old value."""

from __future__ import annotations

import asyncio
import random

import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.wire import Wire, connect, http_request

from .pairs import Pairs, packed

OLD = b"old value"
SMALL, LARGE = 10_000, 3_000_000


def head(kv: Pairs, *headers: str, method: str = "POST", path: str = "key/k") -> bytes:
    """A request without its body."""
    return http_request(method, f"{kv.place}/{path}", b"", *headers)


def chunked(data: bytes, size: int = 60_000) -> bytes:
    """Pieces in chunked encoding, without the last empty one."""
    out = b""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        out += b"%x\r\n%b\r\n" % (len(piece), piece)
    return out


def reset(wire: Wire) -> None:
    """Drop the connection at once, whatever is under way."""
    wire._writer.transport.abort()


async def idle(server: RunningServer) -> None:
    """Return when no request is being answered."""
    async with asyncio.timeout(10):
        while server.server.traffic.active:  # noqa: ASYNC110 - a plain counter
            await asyncio.sleep(0.001)


async def still_there(kv: Pairs, server: RunningServer) -> None:
    """The old value, and no trace of another."""
    await idle(server)
    assert await kv.all() == {"k": OLD}
    assert len(await kv.log()) == 1
    instance = server.server.repos.find(kv.uuid)[0].instance(kv.name)
    assert not instance.live_stages


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", ["length", "chunked"])
@pytest.mark.parametrize("end", ["close", "half", "reset"])
async def test_a_client_that_goes_away_leaves_the_old_value(
    kv: Pairs, server: RunningServer, size: int, way: str, end: str
) -> None:
    await kv.put("k", OLD)
    data = bytes(size)
    for part in (0, 1, size // 2, size - 1):
        async with connect(server.url) as wire:
            if way == "length":
                await wire.send(head(kv, f"Content-Length: {size}") + data[:part])
            else:
                await wire.send(head(kv, "Transfer-Encoding: chunked") + chunked(data[:part]))
            if end == "half":
                wire.end()
                answer = await wire.reply()
                assert answer is None or answer.status == 400
            elif end == "reset":
                reset(wire)
        await still_there(kv, server)


@pytest.mark.parametrize("body", [
    b"xyz\r\n", b"-1\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", b"\r\n", b"ffffffffffffffffff\r\nabc",
    b"3 3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n",
])  # fmt: skip
@pytest.mark.parametrize("before", [0, 200_000])
async def test_broken_chunked_encoding_is_refused(kv: Pairs, server: RunningServer, body: bytes, before: int) -> None:
    await kv.put("k", OLD)
    async with connect(server.url) as wire:
        await wire.send(head(kv, "Transfer-Encoding: chunked") + chunked(bytes(before)) + body)
        wire.end()
        answer = await wire.reply()
        assert answer is None or answer.status == 400, answer.text
    await still_there(kv, server)


async def test_a_length_that_is_too_long_waits_and_never_stores(kv: Pairs, server: RunningServer) -> None:
    await kv.put("k", OLD)
    async with connect(server.url) as wire:
        await wire.send(head(kv, "Content-Length: 2000000") + b"x" * 1_999_999)
        assert await kv.get("k") == OLD  # others are served meanwhile
        wire.end()
        answer = await wire.reply()
        assert answer is None or answer.status == 400
    await still_there(kv, server)


async def test_a_claimed_length_costs_nothing(kv: Pairs, server: RunningServer) -> None:
    await kv.put("k", OLD)
    async with connect(server.url) as wire:
        await wire.send(head(kv, f"Content-Length: {2**40}") + b"x" * 1000)
        assert await kv.get("k") == OLD
    await still_there(kv, server)
    async with connect(server.url) as wire:
        await wire.send(head(kv, f"Content-Length: {2**40}", path="keyvalues") + b"\x0a\xff\xff\xff\xff\x07")
        assert await kv.get("k") == OLD
    await still_there(kv, server)


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: abc",), ("Content-Length: -1",), ("Content-Length: +3",),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", "Transfer-Encoding: chunked"), ("Transfer-Encoding: nonsense",),
        ("Content-Length: 3, 4",),
    ],
)  # fmt: skip
async def test_contradicting_lengths_are_refused(kv: Pairs, server: RunningServer, headers: tuple[str, ...]) -> None:
    await kv.put("k", OLD)
    async with connect(server.url) as wire:
        await wire.send(head(kv, *headers) + b"abcd")
        wire.end()
        answer = await wire.reply()
        assert answer is None or answer.status in (400, 501)
    await still_there(kv, server)


async def test_bytes_behind_the_body_are_the_next_request(kv: Pairs, server: RunningServer) -> None:
    async with connect(server.url) as wire:
        await wire.send(head(kv, "Content-Length: 3") + b"abc" + head(kv, method="GET"))
        first, second = await wire.reply(), await wire.reply()
    assert first is not None and second is not None
    assert (first.status, first.body) == (200, b"")
    assert (second.status, second.body) == (200, b"abc")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_client_that_waits_to_be_asked_for_the_body(kv: Pairs, server: RunningServer, size: int) -> None:
    async with connect(server.url) as wire:
        await wire.send(head(kv, f"Content-Length: {size}", "Expect: 100-continue"))
        go_on = await wire.reply()
        assert go_on is not None and go_on.status == 100
        await wire.send(b"x" * size)
        done = await wire.reply()
        assert done is not None and done.status == 200
    assert await kv.get("k") == b"x" * size
    await kv.commit()
    async with connect(server.url) as wire:
        await wire.send(head(kv, f"Content-Length: {size}", "Expect: 100-continue"))
        refused = await wire.reply()
        assert refused is not None and refused.status == 400  # and the body stays at home


@pytest.mark.parametrize("size", [SMALL, 100_000, LARGE])
async def test_whoever_leaves_behind_the_last_byte_finds_the_old_or_the_new_value(
    kv: Pairs, server: RunningServer, size: int
) -> None:
    chance = random.Random(size)
    await kv.put("k", b"0" * size)
    before = b"0" * size
    for n in range(40):
        value = bytes([n]) * size
        async with connect(server.url) as wire:
            await wire.send(head(kv, f"Content-Length: {size}") + value)
            await asyncio.sleep(chance.random() * 0.004)
            reset(wire)
        await idle(server)
        found = await kv.get("k")
        assert found in (before, value), n
        before = found or b""


@pytest.mark.parametrize("cut", [1, 10, 5_000, 99_990, 3_100_000])
async def test_a_broken_message_of_many_pairs_writes_none(kv: Pairs, server: RunningServer, cut: int) -> None:
    await kv.put("k", OLD)
    body = packed([("k", b"new"), ("large", b"x" * LARGE), *((f"k{n}", b"x" * 100) for n in range(1000))])
    assert (await kv.ask("POST", "keyvalues", body[:-cut])).status == 400
    async with connect(server.url) as wire:
        await wire.send(head(kv, f"Content-Length: {len(body)}", path="keyvalues") + body[:-cut])
    await still_there(kv, server)


async def test_replies_that_nobody_reads_do_not_stop_others(kv: Pairs, server: RunningServer) -> None:
    await kv.put("large", b"x" * 20_000_000)
    async with connect(server.url) as wire:
        await wire.send(head(kv, method="GET", path="key/large") * 3)
        await kv.put("k", OLD)
        assert await kv.get("k") == OLD
        await kv.delete("large")
        assert await kv.keys() == ["k"]
        # What was under way comes to its end although the key is gone.
        first = await wire.reply()
        assert first is not None and first.body == b"x" * 20_000_000
