"""Much data in bounded memory: values far larger than what the server may use, and a million keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TypeVar

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from yarl import URL

from dvid_core.testing.process import ServerProcess, process_of

from .pairs import Pairs, new_pairs, packed

T = TypeVar("T")

MIB = 1 << 20
PIECE = bytes(range(256)) * 4096
"""1 MiB; each piece of a stream is this one turned by its number, so that lost and doubled ones show."""


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_keyvalue"]) as found:
        yield found


class Watch:
    """What a server needs while something is done, and whether it serves others meanwhile."""

    def __init__(self, process: ServerProcess) -> None:
        assert process.process is not None
        self._memory = psutil.Process(process.process.pid)
        self._api = process
        self.grown = 0
        """Bytes of resident memory beyond those at the beginning."""
        self.answered = 0
        """Small requests that were answered."""

    async def during(self, work: Awaitable[T]) -> T:
        """Do it and watch."""
        begin = self._memory.memory_info().rss
        task = asyncio.ensure_future(work)
        self.grown = self.answered = 0
        while not task.done():
            await self._api.get("/api/heartbeat")
            self.answered += 1
            self.grown = max(self.grown, self._memory.memory_info().rss - begin)
            await asyncio.wait([task], timeout=0.01)
        return await task


def piece(n: int) -> bytes:
    turn = n * 7919 % MIB
    return PIECE[turn:] + PIECE[:turn]


async def pieces(count: int) -> AsyncIterator[bytes]:
    for n in range(count):
        yield piece(n)


def entry_head(key: str, size: int) -> bytes:
    """What is in a KeyValues message before a value."""
    begin = packed([(key, b"")])[2:] + b"\x12" + varint(size)
    return b"\x0a" + varint(len(begin) + size) + begin


def varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


async def message(keys: str, count: int) -> AsyncIterator[bytes]:
    """A KeyValues message whose values have so many pieces each."""
    for key in keys:
        yield entry_head(key, count * MIB)
        async for data in pieces(count):
            yield data


async def check_stream(kv: Pairs, path: str, count: int, before: int = 0, behind: int = 0) -> None:
    """Read a value of so many pieces, and so many bytes before and behind it, holding few of them."""
    n, held = 0, bytearray()
    async with kv.api.client.get(URL(f"{kv.api.url}{kv.place}/{path}", encoded=True)) as reply:
        assert reply.status == 200
        async for data in reply.content.iter_any():
            held += data
            if before and len(held) >= before:
                del held[:before]
                before = 0
            while not before and len(held) >= MIB:
                assert held[:MIB] == piece(n)
                del held[:MIB]
                n += 1
    assert (n, before, len(held)) == (count, 0, behind)


@pytest.mark.slow
async def test_values_of_300_mb_go_in_and_out_in_little_memory(process: ServerProcess) -> None:
    kv, watch = await new_pairs(process), Watch(process)
    await kv.put("warm", b"x" * MIB)
    # What is written stays in the store's write buffers (64 MiB, and 32 for each of two families) until it is flushed.
    await watch.during(kv.put("large", pieces(300)))
    assert watch.grown < 160 * MIB
    assert (await kv.ask("HEAD", "key/large")).headers["Content-Length"] == str(300 * MIB)
    await watch.during(kv.demand("POST", "keyvalues", message("abc", 100)))
    assert watch.grown < 160 * MIB
    for path, before, behind in (
        ("key/large", 0, 0),
        ("keyrangevalues/large/large", len(entry_head("large", 300 * MIB)), 0),
        ("keyrangevalues/large/large?tar=true", 512, 1024),
    ):
        await watch.during(check_stream(kv, path, 300, before, behind))
        assert watch.grown < 64 * MIB, path
    await check_stream(kv, "key/b", 100)
    part = await kv.demand("GET", f"key/large?byte_start={250 * MIB - 1}&byte_end={250 * MIB}")
    assert part == piece(249)[-1:] + piece(250)[:1]


KEYS = 1_000_000
BATCH = 50_000


def key(n: int) -> str:
    return f"{n:08d}.ngmesh"


async def read_keys(kv: Pairs, path: str, first: int, count: int, pause: asyncio.Event | None = None) -> None:
    """Read a list of keys as it comes, and check each of them."""
    n, held = first, b""
    async with kv.api.client.get(f"{kv.api.url}{kv.place}/{path}") as reply:
        assert reply.status == 200
        async for data in reply.content.iter_any():
            held += data
            *whole, held = held.split(b",")
            for found in whole:
                assert found.strip(b"[") == b'"%b"' % key(n).encode()
                n += 1
            if pause is not None:
                await pause.wait()
    assert held == b'"%b"]' % key(n).encode()
    assert n + 1 - first == count


async def read_away(kv: Pairs, path: str) -> None:
    """Read a reply and keep nothing of it."""
    async with kv.api.client.get(f"{kv.api.url}{kv.place}/{path}") as reply:
        assert reply.status == 200
        async for _ in reply.content.iter_any():
            pass


@pytest.mark.slow
async def test_a_million_keys_are_listed_in_little_memory_while_others_are_served(process: ServerProcess) -> None:
    kv, watch = await new_pairs(process), Watch(process)
    for begin in range(0, KEYS, BATCH):
        await kv.put_many((key(n), b"%d" % n) for n in range(begin, begin + BATCH))
    await read_away(kv, f"keyrangevalues/{key(0)}/{key(BATCH)}")
    await watch.during(read_keys(kv, "keys", 0, KEYS))
    assert watch.grown < 48 * MIB
    assert watch.answered > 2
    await watch.during(read_keys(kv, f"keyrange/{key(300_000)}/{key(899_999)}", 300_000, 600_000))
    assert watch.grown < 48 * MIB
    for path in ("keyrangevalues/0/003", "keyrangevalues/0/003?json=true", "keyrangevalues/0/001?tar=true"):
        await watch.during(read_away(kv, path))
        assert watch.grown < 48 * MIB, path

    # Readers that stop reading cost little and hold up nobody.
    go_on = asyncio.Event()
    slow = [asyncio.ensure_future(read_keys(kv, "keyrange/0/001", 0, 100_000, go_on)) for _ in range(5)]
    await watch.during(read_away(kv, "keys"))
    assert watch.grown < 48 * MIB
    await kv.put("another", b"x")
    assert await kv.get("another") == b"x"
    go_on.set()
    await asyncio.gather(*slow)
