"""A server that is killed while it edits: each edit happened as a whole, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest_asyncio

from dvid_core.testing.process import ServerProcess, process_of
from dvid_voxels.testing.volume import Triple, cells

from .bodies import Bodies, new_bodies, noise

BROKEN = (aiohttp.ClientError, OSError, AssertionError, RuntimeError)


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_labelarray"]) as found:
        yield found


async def test_a_large_edit_is_whole_whenever_the_server_is_killed(process: ServerProcess) -> None:
    size: Triple = (112, 96, 96)
    bodies = await new_bodies(process, MaxDownresLevel="0")
    voxels = noise(size)
    await bodies.put((0, 0, 0), voxels)
    label = 5
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        target = label + 1_000_000
        edit = asyncio.ensure_future(bodies.ask("POST", "merge", b"[%d, %d]" % (target, label)))
        # How far it comes is left to chance; the parts spread the kills over the second that it takes.
        await asyncio.wait([edit], timeout=part)
        await process.kill()
        answer = (await asyncio.gather(edit, return_exceptions=True))[0]
        await process.start()
        found = await bodies.get((0, 0, 0), size)
        if not isinstance(answer, BaseException):
            assert (found[voxels == 5] == target).all()
        label = int(found[0, 0, 0])
        assert np.array_equal(found, np.where(voxels == 5, np.uint64(label), voxels))
        points = await bodies.points(label)
        assert points is not None and np.array_equal(points, np.argwhere(voxels == 5))


async def test_after_a_kill_voxels_scales_and_indices_agree(process: ServerProcess) -> None:
    size: Triple = (48, 48, 48)
    bodies: Bodies = await new_bodies(process)
    voxels = cells(size, count=60)
    await bodies.put((0, 0, 0), voxels)
    merged: list[int] = []
    enough = asyncio.Event()

    async def merge() -> None:
        for label in range(2, 40):
            try:
                await bodies.merge(1, label)
            except BROKEN:
                return
            merged.append(label)
            if len(merged) == 8:
                enough.set()

    async def split() -> None:
        for label in range(40, 61):
            try:
                await bodies.split(label, np.argwhere(voxels == label)[::3])
            except BROKEN:
                return

    async def write() -> None:
        for n in range(100):
            try:
                await bodies.put((48, 0, 0), cells((16, 48, 48), seed=n, count=60))
            except BROKEN:
                return

    work = [asyncio.ensure_future(each()) for each in (merge, split, write)]
    async with asyncio.timeout(60):
        await enough.wait()
    await process.kill()
    await asyncio.gather(*work)
    await process.start()
    found = await bodies.get((0, 0, 0), (64, 48, 48))
    assert not np.isin(found[:48], merged).any()
    assert ((found[:48] > 0) == (voxels > 0)).all()
    await bodies.check((0, 0, 0), found)
