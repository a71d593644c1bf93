"""A server that is killed while bodies are edited and voxels are written."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest_asyncio

from dvid_core.testing.api import eventually
from dvid_core.testing.process import ServerProcess, process_of
from dvid_voxels.testing.volume import Triple, cells, points_of, sparse

from .pair import Pair, new_pair

LOW: Triple = (0, -16, 0)
SIZE: Triple = (48, 32, 48)
BROKEN = (aiohttp.ClientError, OSError, AssertionError, RuntimeError)


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_labelvol"]) as found:
        yield found


async def test_after_a_kill_voxels_and_bodies_agree_and_acknowledged_merges_are_whole(process: ServerProcess) -> None:
    pair = await new_pair(process)
    voxels = cells(SIZE, count=60)
    await pair.seg.put(LOW, voxels)
    merged: set[int] = set()
    splits: list[int] = []
    enough = asyncio.Event()

    async def merge() -> None:
        for label in range(2, 50):
            try:
                await pair.merge(1, label)
            except BROKEN:
                return
            merged.add(label)

    async def split() -> None:
        for label in range(50, 60):
            try:
                answer = await pair.bodies.ask("GET", f"sparsevol/{label}")
                splits.append(await pair.split(label, sparse(points_of(answer.body)[::2])))
            except BROKEN:
                return
            if len(splits) == 3:
                enough.set()

    async def write() -> None:
        for n in itertools.count():
            try:
                await pair.seg.put((320, 0, 0), cells((16, 16, 32), seed=n, first=1000, count=4))
            except BROKEN:
                return

    work = [asyncio.ensure_future(each()) for each in (merge, split, write)]
    async with asyncio.timeout(60):
        await enough.wait()
    await process.kill()
    await asyncio.gather(*work)
    await process.start()

    async def agree() -> bool:
        try:
            found = await pair.compare(LOW, SIZE)
        except AssertionError:
            return False
        return not np.isin(found, list(merged)).any() and set(splits) <= set(np.unique(found).tolist())

    await eventually(agree)
    await eventually(lambda: _same(pair))
    found = await pair.seg.get(LOW, SIZE)
    assert ((found > 0) == (voxels > 0)).all()


async def _same(pair: Pair) -> bool:
    """Whether the place that was written all the time has the same bodies as voxels."""
    voxels = await pair.seg.get((320, 0, 0), (16, 16, 32))
    low, high = (320, 0, 0), (335, 15, 31)
    options = "?" + "&".join(f"min{n}={a}&max{n}={b}" for n, a, b in zip("zyx", low, high))
    for label in range(1000, 1004):
        found = await pair.points(label, options)
        wanted = np.argwhere(voxels == label) + np.array(low)
        if not np.array_equal(wanted, np.empty((0, 3), int) if found is None else found):
            return False
    return True
