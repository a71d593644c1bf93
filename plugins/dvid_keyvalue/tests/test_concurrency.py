"""Many clients at once: nothing that was acknowledged is lost, nothing is seen half."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from dvid_core.testing.fixtures import RunningServer

from .pairs import Pairs, unpacked

CLIENTS = 32
SIZES = (0, 10, 3_000, 65_536, 65_537, 1_200_000)


async def test_every_acknowledged_write_of_many_clients_is_there(kv: Pairs) -> None:
    acknowledged: dict[str, bytes] = {}

    async def write(client: int) -> None:
        chance = random.Random(client)
        for n in range(12):
            key, value = f"{client}-{n}", chance.randbytes(SIZES[n % 5 if client else 5])
            if n % 4 == 3:
                await kv.put_many({key: value, f"{key}b": value})
                acknowledged[f"{key}b"] = value
            else:
                await kv.put(key, value)
            acknowledged[key] = value
            assert await kv.demand("GET", f"key/{key}") == value  # at once, by whatever connection

    await asyncio.gather(*map(write, range(CLIENTS)))
    assert await kv.all() == {key: acknowledged[key] for key in sorted(acknowledged)}
    assert Counter(r["Key"] for r in await kv.log()) == Counter(list(acknowledged))


@pytest.mark.parametrize("sizes", [(10,), (10, 70_000), (70_000,)])
async def test_writes_of_many_clients_to_the_same_keys_leave_one_of_the_last(kv: Pairs, sizes: tuple[int, ...]) -> None:
    """For each key the value is one that no acknowledged write came after."""
    begun: dict[bytes, int] = {}
    ended: dict[bytes, int] = {}
    clock = 0

    async def write(client: int) -> None:
        nonlocal clock
        for n in range(8):
            value = f"{client}-{n} ".encode().ljust(sizes[(client + n) % len(sizes)], b".")
            clock += 1
            begun[value] = clock
            if n % 3 == 2:
                await kv.put_many({"a": value, "b": value})
            else:
                await kv.put("ab"[n % 2], value)
            clock += 1
            ended[value] = clock

    async def read() -> None:
        while len(ended) < CLIENTS * 8:
            assert {value for _, value in await kv.values("ab")} <= begun.keys() | {b""}
            await asyncio.sleep(0.002)

    reader = asyncio.create_task(read())
    await asyncio.gather(*map(write, range(CLIENTS)))
    await reader
    found = await kv.all()
    for key, value in found.items():
        wrote_key = {v for v in ended if (n := int(v.split()[0].split(b"-")[1])) % 3 == 2 or "ab"[n % 2] == key}
        assert value in wrote_key
        assert not [v for v in wrote_key if begun[v] > ended[value]]
    # The log says the same, in the order in which it happened.
    last = {r["Key"]: r["Bytes"] for r in await kv.log()}
    assert last == {key: len(value) for key, value in found.items()}


async def test_a_batch_is_seen_whole_or_not_at_all(kv: Pairs) -> None:
    keys = [f"k{n:02d}" for n in range(40)]
    await kv.put_many(dict.fromkeys(keys, b"start"))
    ended = False

    async def write(client: int) -> None:
        for n in range(6):
            value = f"{client}-{n}".encode()
            await kv.put_many([*dict.fromkeys(keys, value).items(), (f"large{client}", value * 20_000)])

    async def read() -> None:
        while not ended:
            pairs = await kv.range_values(keys[0], keys[-1])
            assert [key for key, _ in pairs] == keys
            assert len({value for _, value in pairs}) == 1
            await asyncio.sleep(0.001)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.gather(*map(write, range(8)))
    ended = True
    await asyncio.gather(*readers)


async def test_readers_of_large_values_see_one_of_them_whole(kv: Pairs) -> None:
    size = 2_500_000
    await kv.put("k", b"0" * size)
    ended = False

    async def read() -> int:
        count = 0
        while not ended:
            value = await kv.demand("GET", "key/k")
            assert value == value[:1] * size
            pairs = unpacked(await kv.demand("GET", "keyrangevalues/a/z"))
            assert pairs == [("k", pairs[0][1][:1] * size)]
            count += 1
        return count

    async def write(client: int) -> None:
        for n in range(5):
            await kv.put("k", str((client * 5 + n) % 10).encode() * size)

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*map(write, range(3)))
    ended = True
    assert all(await asyncio.gather(*readers))


async def test_after_a_commit_no_write_is_seen_that_was_not_acknowledged_before(
    kv: Pairs, server: RunningServer
) -> None:
    acknowledged: set[str] = set()
    many = asyncio.Event()
    refused = 0

    async def write(client: int) -> None:
        nonlocal refused
        for n in range(1000):
            key = f"{client}-{n}"
            answer = await kv.ask("POST", f"key/{key}", b"x" * SIZES[client % 5])
            if answer.status != 200:
                refused += 1
                return
            acknowledged.add(key)
            if len(acknowledged) == 100:
                many.set()

    writers = [asyncio.create_task(write(client)) for client in range(CLIENTS)]
    await many.wait()
    await kv.commit()
    keys = await kv.keys()
    await asyncio.gather(*writers)
    assert refused == CLIENTS
    assert set(keys) == acknowledged
    assert await kv.keys() == keys
