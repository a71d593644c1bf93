"""A server that is killed while elements are posted and counts are made anew."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from dvid_core.testing.api import Api, eventually
from dvid_core.testing.process import process_of

from .test_counts import some


async def ranks(api: Api, place: str) -> list[tuple[int, int]] | None:
    answer = await api.ask("GET", f"{place}/top/1000/PreSyn")
    return [(r["Label"], r["Size"]) for r in answer.json()] if answer.status == 200 else None


async def wanted(api: Api, source: str) -> list[tuple[int, int]]:
    counter = Counter(label for label, kind in await api.get(f"{source}/all") if kind == "PreSyn")
    return sorted(counter.items(), key=lambda row: (-row[1], row[0]))


async def test_after_a_kill_every_change_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process finds the annotation datatype of these tests by the path of this one.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    async with process_of(tmp_path, plugins=["dvid_labelsz", "points"]) as process:
        uuid = await process.repo()
        source = await process.instance(uuid, "syn", "points")
        place = await process.instance(uuid, "sz", "labelsz")
        await process.post(f"{place}/sync", json={"sync": "syn"})
        for round_ in range(3):
            enough = asyncio.Event()

            async def write(seed: int, enough: asyncio.Event = enough) -> None:
                rng = random.Random(seed)
                for n in range(10_000):
                    try:
                        await process.post(f"{source}/put", json=some(rng, 20))
                        if n % 7 == seed % 3:
                            await process.post(f"{place}/reload")
                    except (aiohttp.ClientError, OSError, AssertionError, RuntimeError):
                        return
                    if n == 15:
                        enough.set()

            writers = [asyncio.ensure_future(write(10 * round_ + client)) for client in range(2)]
            await enough.wait()
            await process.kill()
            await asyncio.gather(*writers)
            await process.start()

            async def agree() -> bool:
                return await ranks(process, place) == await wanted(process, source)

            await eventually(agree)
            assert await agree()
