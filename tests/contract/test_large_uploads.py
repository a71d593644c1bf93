"""Large values of a server that is a process: killed in the middle of an upload, and watched for its memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from dvid_core.testing.process import ServerProcess, process_of
from dvid_core.testing.world import World

from .test_large_values import MIB, leftovers, pieces


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_core.testing.cells"]) as api:
        yield api


async def swept(folder: Path, root: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What lies in the store of a dead server, and what is left when the next start has swept it."""
    world = World(folder / "data")
    world.root = root
    await world.open()
    try:
        await world.server.sweeper.stop()
        before = await leftovers(world["cells"])
        await world.server.sweeper.start()
        for _ in range(10_000):
            if (await leftovers(world["cells"]))[1:] == (0, 0):
                break
            await asyncio.sleep(0)  # the sweeper's turn
        return before, await leftovers(world["cells"])
    finally:
        await world.server.aclose()


async def test_upload_that_was_under_way_leaves_no_chunks_after_the_next_start(
    api: ServerProcess, tmp_path: Path
) -> None:
    root = await api.repo()
    place = await api.instance(root, "cells", "cells")
    await api.post(f"{place}/cell/kept", pieces(3 * MIB))
    for fill in (b"y", b"z"):
        await api.post(f"{place}/cell/replaced", pieces(2 * MIB, fill))
    sent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        async for piece in pieces(32 * MIB):
            yield piece
        sent.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(api.ask("POST", f"{place}/cell/never", body()))
    await sent.wait()
    assert api.process is not None
    api.process.kill()
    await asyncio.gather(upload, return_exceptions=True)
    await api.kill()
    before, after = await swept(tmp_path, root)
    assert before[0] > 10 and before[1:] == (1, 1)
    assert after == (5, 0, 0)
    await api.start()
    assert await api.get(f"{place}/cell/kept") == b"x" * 3 * MIB
    assert await api.get(f"{place}/cell/replaced") == b"z" * 2 * MIB
    await api.get(f"{place}/cell/never", status=404)


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_value(api: ServerProcess) -> None:
    place = await api.instance(await api.repo(), "cells", "cells")
    await api.post(f"{place}/cell/a", pieces(8 * MIB))
    assert api.process is not None
    server = psutil.Process(api.process.pid)
    before = highest = server.memory_info().rss
    size, got = 300 * MIB, 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal highest
        async for piece in pieces(size):
            highest = max(highest, server.memory_info().rss)
            yield piece

    await api.post(f"{place}/cell/big", body())
    async with api.client.get(f"{api.url}{place}/cell/big") as reply:
        async for piece in reply.content.iter_chunked(MIB):
            highest = max(highest, server.memory_info().rss)
            got += len(piece)
    assert got == size
    # RocksDB fills 64 MiB of buffers and 64 MiB of cache.
    assert highest - before < 200 * MIB
