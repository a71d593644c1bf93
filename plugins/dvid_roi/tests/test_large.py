"""Regions beyond one page, one value and one piece, which are read in part."""

from __future__ import annotations

import asyncio
import random

import msgspec
import numpy as np
import pytest
from dvid_roi import handlers
from dvid_roi.region import VersionRegion

from dvid_core import View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.geometry import Box

from .place import Place, mask_of

LAYERS, ROWS = 60, 80
SPANS = [
    [z, y, 20 * i + (z + y) % 7, 20 * i + (z + y) % 7 + 9]
    for z in range(LAYERS)
    for y in range(ROWS)
    for i in range(30)
]
"""144,000 of them, 2.3 MB."""


def inside(z: int, y: int, x: int) -> bool:
    return 0 <= z < LAYERS and 0 <= y < ROWS and 0 <= x - (z + y) % 7 < 600 and (x - (z + y) % 7) % 20 < 10


@pytest.fixture
async def large(roi: Place) -> Place:
    mixed = list(SPANS)
    random.Random(1).shuffle(mixed)
    await roi.put(mixed)
    return roi


async def test_all_spans_come_back_in_order(large: Place) -> None:
    assert await large.spans() == SPANS


async def test_points_anywhere_are_answered(large: Place) -> None:
    rng = random.Random(2)
    points = [[rng.randint(-100, 20_000), rng.randint(-100, 3000), rng.randint(-100, 2500)] for _ in range(30_000)]
    assert await large.has(points) == [inside(z // 32, y // 32, x // 32) for x, y, z in points]


@pytest.mark.parametrize("offset", [(0, 0, 0), (9_600, 1_250, 900), (19_000, 2_500, 1_880), (-40, -40, -40)])
async def test_masks_anywhere_are_right(large: Place, offset: tuple[int, int, int]) -> None:
    size = (90, 70, 65)
    low = [o // 32 for o in offset[::-1]]
    near = {
        (z, y, x)
        for z in range(low[0], low[0] + 4) for y in range(low[1], low[1] + 4) for x in range(low[2], low[2] + 4)
        if inside(z, y, x)
    }  # fmt: skip
    assert np.array_equal(await large.mask(size, offset), mask_of(near, size, offset, (32, 32, 32)))


async def test_partitions_count_every_block(large: Place) -> None:
    for n in (4, 64):
        found = await large.partition(n)
        assert found["NumActiveBlocks"] == len(SPANS) * 10 == sum(s["ActiveBlocks"] for s in found["Subvolumes"])


async def test_a_region_of_too_many_spans_is_refused(roi: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await roi.put([[1, 1, 1, 1]])
    monkeypatch.setattr(handlers, "MOST", 50_000)
    assert (await roi.ask("POST", "roi", msgspec.json.encode(SPANS))).status == 400
    assert await roi.spans() == [[1, 1, 1, 1]]


async def test_readers_of_one_region_see_one_state(server: RunningServer, large: Place) -> None:
    repo, node = server.server.repos.find(large.uuid)
    region = VersionRegion(View(repo.instance("r"), node), (32, 32, 32))
    pages = region.spans()
    first = await anext(pages)
    await large.put([[0, 0, 0, 0]])
    assert len(first) + sum([len(p) async for p in pages]) == len(SPANS)
    assert (await region.inside(Box((1, 1, 0), (1, 1, 20)))).any()
    assert await large.spans() == [[0, 0, 0, 0]]


async def test_of_simultaneous_posts_one_is_kept_whole(roi: Place) -> None:
    some = [[[n, y, n, n + 3] for y in range(9000)] for n in range(8)]
    await asyncio.gather(*(roi.put(spans) for spans in some))
    assert await roi.spans() in some
