"""Many clients who edit the same bodies at once: no supervoxel is lost or is in two bodies."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer

from .proofreading import LOW, Bodies
from .segmentation import Segmentation, cells


async def settle(bodies: Bodies) -> None:
    """Take over from the server who belongs where, and demand that all agrees with that."""
    seg = bodies.seg
    found: dict[int, int] = {}
    for label in await seg.labels():
        for supervoxel in await seg.api.get(f"{seg.place}/supervoxels/{label}"):
            assert supervoxel not in found, f"{supervoxel} is in {label} and {found[supervoxel]}"
            found[supervoxel] = label
    assert set(found) == set(np.unique(bodies.voxels).tolist()) - {0}
    bodies.body_of = found
    await bodies.check(scales=False)


@pytest.mark.parametrize("shape", [(16, 32, 32), (80, 96, 96)], ids=["small", "large"])
async def test_overlapping_edits_by_many_clients(server: RunningServer, seg: Segmentation, shape: Any) -> None:
    voxels = cells(shape, count=16)
    await seg.post_blocks(LOW, voxels)
    bodies = Bodies(seg, voxels)
    done: dict[str, int] = {}

    async def client(number: int) -> None:
        rng = random.Random(number)
        for _ in range(25):
            names = await seg.labels()
            kind = rng.choice(["merge", "merge", "cleave", "cleave", "renumber", "undo"])
            some = rng.sample(names, min(len(names), rng.randint(2, 4)))
            if kind == "merge":
                answer = await seg.ask("POST", "merge", str(some).encode())
            elif kind == "cleave":
                label = rng.choice(names)
                held = await seg.ask("GET", f"supervoxels/{label}")
                members = held.content() if held.status == 200 else [1]
                part = rng.sample(members, rng.randint(1, len(members)))
                answer = await seg.ask("POST", f"cleave/{label}", str(part).encode())
            elif kind == "renumber":
                pairs = [rng.randint(1, 16), some[0], 1000 + 100 * number + rng.randint(0, 99), some[-1]]
                answer = await seg.ask("POST", "renumber", str(pairs).encode())
            else:
                answer = await seg.ask("POST", f"undo/{rng.choice(names)}")
            assert answer.status in (200, 400), answer.text
            done[kind] = done.get(kind, 0) + (answer.status == 200)

    await asyncio.gather(*(client(n) for n in range(8)))
    assert done["merge"] > 10
    assert done["cleave"] > 5
    assert done["renumber"] > 3
    assert done["undo"] > 3
    await settle(bodies)


async def test_splits_writes_and_merges_at_once(server: RunningServer, seg: Segmentation) -> None:
    voxels = cells((32, 48, 64), count=8)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)

    async def splitter(number: int) -> None:
        for supervoxel in (number, number + 4):
            answer = await seg.ask("POST", f"split-supervoxel/{supervoxel}", bodies.part(supervoxel))
            # A block of the supervoxel may be written in between, so that the runs leave it.
            assert answer.status in (200, 400), answer.text

    async def writer(number: int) -> None:
        block = cells((16, 16, 16), seed=number, first=20, count=4)
        for _ in range(4):
            await seg.put(bodies.low, block, "?mutate=true")

    async def merger() -> None:
        for n in range(8):
            target, merged = (n % 8 + 1, (n + 1) % 8 + 1)
            answer = await seg.ask("POST", "merge", f"[{target},{merged}]".encode())
            assert answer.status in (200, 400), answer.text

    await asyncio.gather(*(splitter(n) for n in range(1, 5)), *(writer(n) for n in range(2)), merger())
    bodies.voxels = (await seg.get(bodies.low, voxels.shape, "?supervoxels=true")).copy()
    await settle(bodies)
    before = bodies.voxels
    assert ((before > 0) == (voxels > 0))[16:].all()


async def test_of_many_splits_of_one_supervoxel_one_is_done(seg: Segmentation) -> None:
    voxels = cells((32, 32, 32), count=3)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    posts = [seg.ask("POST", "split-supervoxel/1", bodies.part(1)) for _ in range(6)]
    answers = await asyncio.gather(*posts)
    [done] = [a.content() for a in answers if a.status == 200]
    assert {a.status for a in answers} == {200, 400}
    bodies.cut(1, bodies.mask(1), done["SplitSupervoxel"], done["RemainSupervoxel"])
    await bodies.check()


async def test_of_splits_that_choose_the_same_names_one_is_done(seg: Segmentation) -> None:
    voxels = cells((32, 32, 32), count=6)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    posts = [seg.ask("POST", f"split-supervoxel/{n}?split=50&remain=51", bodies.part(n)) for n in range(1, 6)]
    answers = await asyncio.gather(*posts)
    [winner] = [n for n, a in enumerate(answers, 1) if a.status == 200]
    bodies.cut(winner, bodies.mask(winner), 50, 51)
    await bodies.check()


async def test_readers_see_one_state_from_start_to_end(seg: Segmentation) -> None:
    voxels = cells((80, 96, 96), count=6, zeros=0)
    await seg.post_blocks(LOW, voxels)
    bodies = Bodies(seg, voxels)
    whole, one = bodies.size(1, 2), bodies.size(1)
    ended = False

    async def editor() -> None:
        nonlocal ended
        for _ in range(15):
            done = await bodies.post("merge", [1, 2])
            assert done
            await bodies.post("undo/1")
        ended = True

    async def reader() -> None:
        looked = 0
        while not ended or not looked:
            looked += 1
            counts = await seg.index(1)
            total = sum(sum(block.values()) for block in counts.values())
            assert total in (one, whole)
            found = await seg.get(bodies.low, voxels.shape)
            assert int((found == 1).sum()) in (one, whole)
            assert int(np.isin(found, [1, 2]).sum()) == whole

    await asyncio.gather(editor(), *(reader() for _ in range(3)))
    await bodies.check(scales=False)


async def test_labels_of_cleaves_are_handed_out_once(seg: Segmentation) -> None:
    voxels = cells((16, 16, 32), count=20, zeros=0)
    await seg.post_blocks(LOW, voxels)
    bodies = Bodies(seg, voxels)
    await bodies.merge(1, *range(2, 21))
    made = await asyncio.gather(*(bodies.cleave(1, n) for n in range(2, 21)))
    assert sorted(label for label, _ in made) == list(range(21, 40))
    ids = [mutation for _, mutation in made]
    assert len(set(ids)) == len(ids)
    await bodies.check(scales=False)
