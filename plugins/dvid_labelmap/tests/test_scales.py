"""Lower scales come to their end, whatever happens between them and the voxels."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from dvid_core.testing.api import eventually
from dvid_voxels.segmentation import instance, pyramid

from .segmentation import Segmentation, cells, halved

SIZE = (32, 32, 32)


class Gate:
    """Stops whoever computes lower scales until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

        async def waiting(*args: Any) -> None:
            self.reached.set()
            await self.opened.wait()
            await pyramid.compute(*args)

        monkeypatch.setattr(instance, "compute", waiting)


async def check(seg: Segmentation, voxels: np.ndarray) -> None:
    coarse = halved(voxels)
    assert (await seg.get((0, 0, 0), coarse.shape, "?scale=1") == coarse).all()
    assert (await seg.get((0, 0, 0), halved(coarse).shape, "?scale=2") == halved(coarse)).all()


async def test_they_are_complete_in_a_version_that_is_locked_meanwhile(
    seg: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = cells(SIZE)
    gate = Gate(monkeypatch)
    writing = asyncio.create_task(seg.post_blocks((0, 0, 0), voxels, "?downres=true"))
    await gate.reached.wait()
    committing = asyncio.create_task(seg.api.commit(seg.uuid))
    assert not (await asyncio.wait([committing], timeout=0.2))[0]
    gate.opened.set()
    await committing
    await check(seg, voxels)
    await writing
    child = seg.at(await seg.api.newversion(seg.uuid))
    await check(child, voxels)


async def test_they_are_complete_when_the_client_leaves(seg: Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = cells(SIZE)
    gate = Gate(monkeypatch)
    writing = asyncio.create_task(seg.post_blocks((0, 0, 0), voxels, "?downres=true"))
    await gate.reached.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    gate.opened.set()

    async def complete() -> bool:
        return bool((await seg.get((0, 0, 0), (8, 8, 8), "?scale=2") == halved(halved(voxels))).all())

    await eventually(complete)
    await check(seg, voxels)


async def test_writes_of_neighbours_at_once_leave_the_scales_of_what_is_there(seg: Segmentation) -> None:
    voxels = cells((64, 64, 64), count=200)
    parts = [(z, y, x) for z in range(4) for y in range(4) for x in range(4)]
    await asyncio.gather(
        *(seg.post_blocks(at, voxels[tuple(slice(16 * n, 16 * n + 16) for n in at)], "?downres=true") for at in parts)
    )
    await check(seg, voxels)
    await seg.check_indices((0, 0, 0), voxels)
