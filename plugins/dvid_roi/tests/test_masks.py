"""Masks say of each voxel whether its block is inside."""

from __future__ import annotations

import random

import numpy as np
import psutil
import pytest

from dvid_core.testing.fixtures import RunningServer

from .conftest import new_roi
from .place import Place, blocks_of, mask_of


@pytest.mark.parametrize("seed", range(6))
async def test_a_mask_of_any_box_is_what_the_blocks_say(server: RunningServer, seed: int) -> None:
    rng = random.Random(seed)
    block = [rng.choice([1, 3, 8, 16]) for _ in range(3)]
    roi = await new_roi(server, BlockSize=",".join(map(str, block)))
    spans = [
        [rng.randint(-4, 4), rng.randint(-4, 4), x := rng.randint(-6, 4), x + rng.randint(0, 5)] for _ in range(40)
    ]
    await roi.put(spans)
    for _ in range(6):
        size = [rng.randint(1, 30) for _ in range(3)]
        offset = [rng.randint(-40, 40) for _ in range(3)]
        expected = mask_of(blocks_of(spans), size, offset, block)
        assert np.array_equal(await roi.mask(size, offset), expected)


async def test_a_partial_block_at_a_negative_offset_is_in_the_mask(roi: Place) -> None:
    await roi.put([[-1, -1, -1, -1]])
    mask = await roi.mask((10, 10, 10), (-5, -5, -5))
    assert mask.sum() == 5**3
    assert mask[:5, :5, :5].all()


@pytest.mark.parametrize("shape", [(3000, 2000, 3), (5, 7, 900), (100_000, 3, 40), (4, 100_000, 2), (256, 256, 256)])
async def test_masks_of_many_pieces_are_whole(roi: Place, shape: tuple[int, int, int]) -> None:
    await roi.put([[z, y, 2 + (z + y) % 3, 5 + z + y] for z in range(30) for y in range(100)] + [[0, 0, 2500, 2900]])
    mask = await roi.mask(shape, (70, 40, 20))
    blocks = await roi.blocks()
    rng = random.Random(1)
    points = [[rng.randrange(s) for s in shape] for _ in range(3000)]
    wanted = [((z + 20) // 32, (y + 40) // 32, (x + 70) // 32) in blocks for x, y, z in points]
    assert [bool(mask[z, y, x]) for x, y, z in points] == wanted
    assert any(wanted)


@pytest.mark.parametrize("size", ["0_0_0", "0_5_5", "5_5_0"])
async def test_a_mask_of_nothing_is_empty(roi: Place, size: str) -> None:
    answer = await roi.ask("GET", f"mask/0_1_2/{size}/0_0_0")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "end",
    [
        "mask", "mask/0_1_2", "mask/0_1_2/2_2_2", "mask/xy/2_2_2/0_0_0", "mask/0_1/2_2/0_0_0", "mask/bogus/2_2_2/0_0_0",
        "mask/0_1_2/2_2/0_0", "mask/0_1_2/2_2_2/x_0_0", "mask/0_1_2/2_2_2_2/0_0_0_0", "mask/0_1_2/-1_2_2/0_0_0",
        "mask/0_1_2/2_2_2/0_0_2147483648", "mask/0_1_2/2.0_2_2/0_0_0", "mask/0_1_2/1_1_1048577/0_0_0",
        "mask/0_1_2/100000_100000_100000/0_0_0", "mask/0_1_2/2147483647_2147483647_2147483647/0_0_0",
    ],
)  # fmt: skip
async def test_a_mask_that_cannot_be_is_refused(roi: Place, end: str) -> None:
    answer = await roi.ask("GET", end)
    assert answer.status == 400
    assert answer.text.strip()


async def test_a_slice_of_too_many_blocks_is_refused(server: RunningServer) -> None:
    roi = await new_roi(server, BlockSize="1,1,1")
    assert (await roi.ask("GET", "mask/0_1_2/5000_5000_1/0_0_0")).status == 400


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_a_large_mask_takes_little_memory(roi: Place) -> None:
    await roi.put([[z, y, z + y, 40 + z + y] for z in range(20) for y in range(60)])
    await roi.mask((256, 256, 64), (0, 0, 0))
    me = psutil.Process()
    before = me.memory_info().rss
    highest = total = inside = 0
    path = roi.server.url + roi.path("mask/0_1_2/1024_1024_512/100_100_10")
    async with roi.server.client.get(path) as reply:
        assert reply.headers["Content-Length"] == str(512 << 20)
        async for piece in reply.content.iter_chunked(1 << 20):
            total += len(piece)
            inside += piece.count(1)
            highest = max(highest, me.memory_info().rss)
    assert total == 512 << 20
    assert 0 < inside < total
    assert highest - before < 64 << 20
