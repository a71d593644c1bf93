"""A server that is killed while pairs are put."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from dvid_core.testing.process import ServerProcess, process_of

from .pairs import new_pairs

PAIRS = 50
LARGE = 200_000


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_keyvalue"]) as found:
        yield found


def batch(name: str) -> dict[str, bytes]:
    """Pairs that must all be there, or none of them; one of them is large."""
    small = {f"{name}-{n:02d}": name.encode() * (n + 1) for n in range(PAIRS)}
    return {**small, f"{name}-large": name.encode() * (LARGE // len(name))}


async def test_of_batches_whole_ones_survive_a_kill_and_all_that_were_acknowledged(process: ServerProcess) -> None:
    kv = await new_pairs(process)
    acknowledged: set[str] = set()
    enough = asyncio.Event()

    async def write(client: int) -> None:
        for n in range(10_000):
            name = f"c{client}n{n}"
            try:
                await kv.put_many(batch(name))
            except (aiohttp.ClientError, OSError, AssertionError, RuntimeError):
                return
            acknowledged.add(name)
            if len(acknowledged) > 60:
                enough.set()

    writers = [asyncio.ensure_future(write(client)) for client in range(8)]
    await enough.wait()
    await process.kill()
    await asyncio.gather(*writers)
    await process.start()
    found = {key.partition("-")[0] for key in await kv.keys()}
    assert acknowledged <= found
    for name in found:
        assert dict(await kv.range_values(f"{name}-", f"{name}-~")) == batch(name)
    assert len(await kv.log()) == (PAIRS + 1) * len(found)


async def test_a_value_that_a_kill_interrupts_leaves_the_old_one(process: ServerProcess) -> None:
    kv = await new_pairs(process)
    await kv.put("k", b"old")
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1_000_000
        arrived.set()
        await asyncio.sleep(3600)

    upload = asyncio.ensure_future(kv.put("k", slowly()))
    await arrived.wait()
    await process.kill()
    await asyncio.gather(upload, return_exceptions=True)
    await process.start()
    assert await kv.all() == {"k": b"old"}
    assert len(await kv.log()) == 1
    await kv.put("k", b"new" * 1_000_000)
    assert await kv.get("k") == b"new" * 1_000_000
