"""A server that is killed: what was acknowledged is there, what was not is whole or absent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from dvid_core.testing.process import ServerProcess, process_of


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_keyvalue"]) as found:
        yield found


async def test_acknowledged_writes_survive_a_kill(process: ServerProcess) -> None:
    uuid = await process.repo(alias="a")
    place = await process.instance(uuid, "kv")
    acknowledged: dict[str, bytes] = {}
    enough = asyncio.Event()

    async def write(client: int) -> None:
        for n in range(10_000):
            key, value = f"{client}-{n}", b"%d" % n * (50_000 if n % 10 == 9 else 1)
            try:
                await process.post(f"{place}/key/{key}", value)
            except (aiohttp.ClientError, AssertionError, RuntimeError, OSError):
                return
            acknowledged[key] = value
            if len(acknowledged) > 150:
                enough.set()

    writers = [asyncio.ensure_future(write(client)) for client in range(6)]
    await enough.wait()
    await process.kill()
    await asyncio.gather(*writers)
    await process.start()
    keys = set(await process.get(f"{place}/keys"))
    assert acknowledged.keys() <= keys
    for key, value in acknowledged.items():
        assert await process.get(f"{place}/key/{key}") == value
    for key in keys - acknowledged.keys():
        n = int(key.partition("-")[2])
        assert await process.get(f"{place}/key/{key}") == b"%d" % n * (50_000 if n % 10 == 9 else 1)
    assert {m["Key"] for m in await process.get(f"{place}/mutations")} == keys


async def test_metadata_that_were_acknowledged_survive_kills(process: ServerProcess) -> None:
    uuid = await process.repo()
    await process.instance(uuid, "kv")
    for n in range(3):
        await process.post(f"/api/node/{uuid}/kv/key/{n}", b"1")
        await process.commit(uuid, note=f"note {n}", log=["line"])
        child = await process.newversion(uuid)
        await process.post(f"/api/node/{uuid}/tag", json={"tag": f"v{n}"})
        before = await process.get("/api/repos/info")
        await process.kill()
        await process.start()
        assert await process.get("/api/repos/info") == before
        await process.post(f"/api/node/{uuid}/kv/key/lost", b"1", status=400)
        uuid = child
    assert await process.get(f"/api/node/{uuid}/kv/keys") == ["0", "1", "2"]


async def test_an_upload_that_the_kill_interrupts_is_absent(process: ServerProcess) -> None:
    place = await process.instance(await process.repo(), "kv")
    sent = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000
            sent.set()

    upload = asyncio.ensure_future(process.ask("POST", f"{place}/key/a", endless()))
    await sent.wait()
    await process.kill()
    assert isinstance((await asyncio.gather(upload, return_exceptions=True))[0], Exception)
    await process.start()
    assert await process.get(f"{place}/keys") == []
    await process.post(f"{place}/key/a", b"1")
    assert await process.get(f"{place}/key/a") == b"1"


async def test_a_stop_on_request_ends_well_and_keeps_everything(process: ServerProcess) -> None:
    place = await process.instance(await process.repo(), "kv")
    await process.post(f"{place}/key/a", b"1")
    assert await process.terminate() == 0
    await process.start()
    assert await process.get(f"{place}/key/a") == b"1"
    assert "Traceback" not in process.errors
