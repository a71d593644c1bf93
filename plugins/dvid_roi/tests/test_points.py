"""Questions about points."""

from __future__ import annotations

import random

import pytest
from dvid_roi import handlers

from dvid_core.testing.fixtures import RunningServer

from .conftest import new_roi
from .place import Place, blocks_of


@pytest.mark.parametrize("block", [(32, 32, 32), (5, 64, 1)])
async def test_points_are_inside_when_their_block_is(server: RunningServer, block: tuple[int, int, int]) -> None:
    rng = random.Random(3)
    roi = await new_roi(server, BlockSize=",".join(map(str, block)))
    spans = [
        [rng.randint(-9, 9), rng.randint(-9, 9), x := rng.randint(-9, 9), x + rng.randint(0, 9)] for _ in range(200)
    ]
    await roi.put(spans)
    blocks = blocks_of(spans)
    points = [[rng.randint(-12 * b, 12 * b) for b in block] for _ in range(20_000)]
    wanted = [(z // block[2], y // block[1], x // block[0]) in blocks for x, y, z in points]
    assert await roi.has(points) == wanted


async def test_the_first_and_last_voxels_of_space_have_blocks(roi: Place) -> None:
    low, high = -(2**31), 2**31 - 1
    await roi.put([[low // 32] * 4, [high // 32] * 4])
    assert await roi.has([[low, low, low], [high, high, high], [low, high, low]]) == [True, True, False]


@pytest.mark.parametrize(
    "body", ["x", "", "[[1.5,2,3]]", '{"a":1}', "[1,2,3]", "[[1,2]]", "[[1,2,3,4]]", "[null]", "[[1,2,4294967296]]"]
)
async def test_what_is_no_list_of_points_is_refused(roi: Place, body: str) -> None:
    answer = await roi.ask("POST", "ptquery", body.encode())
    assert answer.status == 400
    assert "points" in answer.text


async def test_no_points_have_no_answers(roi: Place) -> None:
    assert await roi.has([]) == []


async def test_points_of_any_number_are_answered_in_order(roi: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "POINTS", 10_000)
    await roi.put([[0, 0, x, x] for x in range(0, 2000, 2)])
    points = [[32 * (i % 2000), 0, 0] for i in range(100_000)]
    assert await roi.has(points) == [i % 2 == 0 for i in range(100_000)]


async def test_too_many_points_are_refused(roi: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "ANSWERS", 1000)
    answer = await roi.ask("POST", "ptquery", json=[[0, 0, 0]] * 1001)
    assert answer.status == 400
