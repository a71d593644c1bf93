"""A server that is killed while annotations are written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from dvid_core.testing.process import process_of

from .place import new_place


async def test_acknowledged_writes_survive_a_kill_and_batches_are_whole(tmp_path: Path) -> None:
    async with process_of(tmp_path, plugins=["dvid_neuronjson"]) as process:
        nj = await new_place(process)
        acknowledged: set[int] = set()
        enough = asyncio.Event()

        async def write(client: int) -> None:
            for n in range(1, 10_000):
                first = (client * 10_000 + n) * 100
                try:
                    if n % 2:
                        await nj.set(first, type="single")
                    else:
                        done = await nj.set_many([{"bodyid": first + k, "type": "batch"} for k in range(40)])
                        assert done.status == 200
                except (aiohttp.ClientError, OSError, AssertionError, RuntimeError):
                    return
                acknowledged.add(first)
                if len(acknowledged) > 100:
                    enough.set()

        writers = [asyncio.ensure_future(write(client)) for client in range(1, 9)]
        await enough.wait()
        await process.kill()
        await asyncio.gather(*writers)
        await process.start()
        found = await nj.ids({"type": "batch"})
        assert acknowledged <= {*found, *await nj.ids({"type": "single"})}
        whole = {body - body % 100 for body in found}
        assert found == sorted(first + k for first in whole for k in range(40))
        assert await nj.keys() == sorted([*found, *await nj.ids({"type": "single"})])
        for body in (found[0], found[-1]):
            assert [e["Set"]["type"] for e in await nj.history(body)] == ["batch"]
        await nj.set(5, type="after")
