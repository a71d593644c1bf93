"""Partitions beside a plain model of their two layouts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dvid_roi import partition

from dvid_core.testing.fixtures import RunningServer

from .conftest import new_roi
from .place import Block, Place, blocks_of

Box = tuple[Block, Block]


def plain(blocks: set[Block], n: int) -> tuple[list[Box], int]:
    """Boxes with blocks, and the blocks of all boxes that are counted."""
    boxes, total = [], 0
    z_low, z_high = ends(b[0] for b in blocks)
    for z in range(z_low - (z_high - z_low + 1) % n // 2, z_high + 1, n):
        layer = {b for b in blocks if z <= b[0] < z + n}
        if not layer:
            continue
        for y in starts(*ends(b[1] for b in layer), n):
            row = {b for b in layer if y <= b[1] < y + n}
            if not row:
                continue
            for x in starts(*ends(b[2] for b in row), n):
                total += n**3
                if any(x <= b[2] < x + n for b in row):
                    boxes.append(((z, y, x), (z + n - 1, y + n - 1, x + n - 1)))
    return boxes, total


def starts(low: int, high: int, n: int) -> list[int]:
    rest = (high - low + 1) % n
    return list(range(low - rest // 2, high + rest - rest // 2 + 1, n))


def optimized(blocks: set[Block], n: int) -> tuple[list[Box], int]:
    boxes = []
    z_low, z_high = ends(b[0] for b in blocks)
    for z0, z1 in parts(z_low, z_high, n, lead=1):
        layer = {b for b in blocks if z0 <= b[0] <= z1}
        for y0, y1 in parts(*ends(b[1] for b in layer), n) if layer else ():
            row = {b for b in layer if y0 <= b[1] <= y1}
            for x0, x1 in parts(*ends(b[2] for b in row), n) if row else ():
                columns = [b[2] for b in row if x0 <= b[2] <= x1]
                if columns:
                    boxes.append(((z0, y0, min(columns)), (z1, y1, max(columns))))
    return boxes, sum(volume(b) for b in boxes)


def parts(low: int, high: int, n: int, lead: int = 0) -> list[tuple[int, int]]:
    rest, out, at = (high - low + 1) % n, [], low
    while at <= high:
        width = n + (lead <= len(out) < lead + rest)
        out.append((at, at + width - 1))
        at += width
    return out


def ends(numbers: Any) -> tuple[int, int]:
    found = sorted(numbers)
    return found[0], found[-1]


def volume(box: Box) -> int:
    sides = [b - a + 1 for a, b in zip(*box)]
    return sides[0] * sides[1] * sides[2]


def expected(blocks: set[Block], n: int, optimize: bool, block: tuple[int, int, int]) -> dict[str, Any]:
    boxes, total = (optimized if optimize else plain)(blocks, n)
    shown = []
    for low, high in boxes:
        active = sum(all(a <= c <= b for a, b, c in zip(low, high, p)) for p in blocks)
        shown.append({
            "MinPoint": [c * s for c, s in zip(low[::-1], block)],
            "MaxPoint": [(c + 1) * s - 1 for c, s in zip(high[::-1], block)],
            "MinChunk": list(low[::-1]),
            "MaxChunk": list(high[::-1]),
            "TotalBlocks": volume((low, high)),
            "ActiveBlocks": active,
        })  # fmt: skip
    corners = list(zip(*blocks))
    return {
        "NumTotalBlocks": total,
        "NumActiveBlocks": len(blocks),
        "NumSubvolumes": len(boxes),
        "ROI": {"MinChunk": [min(c) for c in corners[::-1]], "MaxChunk": [max(c) for c in corners[::-1]]},
        "Subvolumes": shown,
    }


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("seed", range(8))
async def test_a_partition_is_laid_out_by_the_rule(server: RunningServer, seed: int, optimize: bool) -> None:
    rng = random.Random(seed)
    block = (64, 32, 16) if seed % 2 else (32, 32, 32)
    roi = await new_roi(server, BlockSize=",".join(map(str, block)))
    wide = rng.choice([3, 10, 25])
    at = [rng.randint(-30, 30) for _ in range(3)]
    spans = [
        [
            at[0] + rng.randint(0, wide),
            at[1] + rng.randint(0, wide),
            x := at[2] + rng.randint(0, wide),
            x + rng.randint(0, 4),
        ]
        for _ in range(rng.choice([1, 5, 60]))
    ]
    await roi.put(spans)
    for n in (1, 2, 3, 4, 7, 16, 100):
        assert await roi.partition(n, optimize) == expected(blocks_of(spans), n, optimize, block)


async def test_gaps_of_any_length_cost_nothing_and_move_nothing(roi: Place) -> None:
    await roi.put([[-2_000_000_000, 5, 0, 0], [2_000_000_000, -2_000_000_000, -2_000_000_000, -1_999_999_999],
                   [2_000_000_000, 2_000_000_000, 1_999_999_999, 2_000_000_000]])  # fmt: skip
    for optimize in (False, True):
        found = await roi.partition(2, optimize)
        assert found["NumActiveBlocks"] == 5
        assert [s["ActiveBlocks"] for s in found["Subvolumes"]] == [1, 2, 2]
        for box in found["Subvolumes"]:
            assert all(a <= b for a, b in zip(box["MinChunk"], box["MaxChunk"]))
        assert found["Subvolumes"][0]["MinChunk"][2] in (-2_000_000_000, -2_000_000_001)
        assert found["Subvolumes"][2]["MaxChunk"][2] >= 2_000_000_000


@pytest.mark.parametrize("query", ["", "?batchsize=", "?batchsize=x", "?batchsize=0", "?batchsize=-1", "?batchsize=1.5",
                                   "?batchsize=1048577", "?batchsize=" + "9" * 5000, "?optimized=true"])  # fmt: skip
async def test_a_batchsize_that_is_none_is_refused(roi: Place, query: str) -> None:
    await roi.put([[0, 0, 0, 3]])
    answer = await roi.ask("GET", f"partition{query}")
    assert answer.status == 400
    assert "batchsize" in answer.text


async def test_a_partition_into_too_many_boxes_is_refused_before_they_are_made(roi: Place) -> None:
    await roi.put([[0, 0, -2_000_000_000, 2_000_000_000]])
    answer = await roi.ask("GET", "partition?batchsize=1")
    assert answer.status == 400
    assert "batchsize" in answer.text
    assert (await roi.partition(2**20))["NumActiveBlocks"] == 4_000_000_001


async def test_boxes_of_all_layers_count_towards_the_limit(roi: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MOST", 1000)
    await roi.put([[z, 0, 0, 399] for z in range(4)])
    assert (await roi.ask("GET", "partition?batchsize=1")).status == 400
    assert (await roi.partition(2))["NumSubvolumes"] == 400


async def test_an_empty_region_has_an_empty_partition(roi: Place) -> None:
    for optimize in (False, True):
        assert await roi.partition(8, optimize) == {
            "NumTotalBlocks": 0,
            "NumActiveBlocks": 0,
            "NumSubvolumes": 0,
            "ROI": {"MinChunk": [0, 0, 2147483647], "MaxChunk": [0, 0, -2147483648]},
            "Subvolumes": [],
        }
