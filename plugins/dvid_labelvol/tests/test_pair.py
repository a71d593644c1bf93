"""A labelblk and a labelvol that follow each other agree at rest, whatever was done to them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import Array, Triple, cells, points_of, sparse

from .pair import SIDE, Pair, new_pair

LOW: Triple = (-16, 0, 16)
SIZE: Triple = (32, 32, 48)


@pytest_asyncio.fixture
async def pair(server: RunningServer) -> Pair:
    return await new_pair(server)


def blocks_of(voxels: Array, label: int) -> Array:
    """The blocks (z, y, x) where a label of a box at LOW is."""
    return np.unique((np.argwhere(voxels == label) + np.array(LOW)) // SIDE, axis=0)


async def test_merges_splits_and_writes_one_after_another_leave_the_same_in_both(pair: Pair) -> None:
    model = cells(SIZE, count=8)
    await pair.seg.put(LOW, model)
    choose = random.Random(5)
    top = 8
    for turn in range(24):
        known = np.unique(model[model > 0]).tolist()
        kind = ("merge", "split", "coarse", "write")[turn % 4]
        if kind == "merge" and len(known) > 3:
            target, *merged = choose.sample(known, 3)
            await pair.merge(target, *merged, 999_999)
            model[np.isin(model, merged)] = target
        elif kind == "write":
            corner = [choose.randrange(s // SIDE) * SIDE for s in SIZE]
            block = cells((SIDE, SIDE, SIDE), seed=turn, first=turn, count=6)
            part = tuple(slice(c, c + SIDE) for c in corner)
            low = tuple(o + c for o, c in zip(LOW, corner))
            await pair.seg.put(low, block, choose.choice(["", "?mutate=true"]))  # type: ignore[arg-type]
            model[part] = block
            await pair.rest()
            top = max(top, int(block.max()))
        else:
            label = choose.choice(known)
            if kind == "coarse":
                wanted = blocks_of(model, label)[:2]
                new = await pair.split(label, sparse(wanted), coarse="-coarse")
                for block in wanted * SIDE - np.array(LOW):
                    part = tuple(slice(c, c + SIDE) for c in block.tolist())
                    model[part][model[part] == label] = new
            else:
                points = np.argwhere(model == label)
                points = points[np.sort(np.random.default_rng(turn).permutation(len(points))[: len(points) // 2 + 1])]
                new = await pair.split(label, sparse(points + np.array(LOW)))
                model[tuple(points.T)] = new
            assert new == top + 1
            top = new
        found = await pair.check(LOW, SIZE, *range(1, top))
        assert (found == model).all(), kind


async def test_edits_and_writes_at_the_same_time_leave_the_same_in_both(pair: Pair) -> None:
    voxels = cells(SIZE, count=6)
    await pair.seg.put(LOW, voxels)
    await pair.rest()
    choose = random.Random(11)

    async def write(seed: int) -> None:
        corner = tuple(o + choose.randrange(s // SIDE) * SIDE for o, s in zip(LOW, SIZE))
        await pair.seg.put(corner, cells((SIDE, SIDE, SIDE), seed=seed, count=6))  # type: ignore[arg-type]

    async def merge() -> None:
        await pair.merge(*choose.sample(range(1, 7), 2))

    async def split() -> None:
        label = choose.randrange(1, 7)
        found = await pair.points(label)
        if found is not None and len(found):
            some = found[:: choose.choice([2, 3])]
            answer = await pair.bodies.ask("POST", f"split/{label}?splitlabel={label + 100}", sparse(some))
            assert answer.status in (200, 400), answer.text

    for turn in range(12):
        work: list[Any] = [write(100 * turn + n) for n in range(4)]
        work += [merge() for _ in range(3)] + [split() for _ in range(3)]
        choose.shuffle(work)
        await asyncio.gather(*work)
        await pair.check(LOW, SIZE, *range(1, 120))


async def test_simultaneous_merges_and_splits_keep_every_voxel_in_exactly_one_body(pair: Pair) -> None:
    voxels = cells(SIZE, count=30, zeros=0)
    await pair.seg.put(LOW, voxels)
    await pair.rest()
    choose = random.Random(3)

    async def client(n: int) -> list[int]:
        made = []
        for _ in range(6):
            a, b = choose.sample(range(1, 31), 2)
            if choose.random() < 0.5:
                await pair.merge(a, b)
                continue
            found = await pair.points(a)
            if found is not None and len(found):
                answer = await pair.bodies.ask("POST", f"split/{a}", sparse(found[n % 3 :: 3]))
                assert answer.status in (200, 400), answer.text
                made += [answer.json()["label"]] if answer.status == 200 else []
        return made

    made = [label for labels in await asyncio.gather(*map(client, range(8))) for label in labels]
    assert len(set(made)) == len(made)
    found = await pair.check(LOW, SIZE, *range(1, max(made, default=30) + 1))
    assert (found > 0).all()


async def test_a_merge_right_after_a_write_is_about_what_was_written(pair: Pair) -> None:
    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await pair.merge(3, 5)
    assert (await pair.check(LOW, SIZE, 5) == np.where(voxels == 5, 3, voxels)).all()


async def test_bodies_that_are_written_over_are_gone_without_mutate(pair: Pair) -> None:
    await pair.seg.put(LOW, np.full(SIZE, 7, np.uint64))
    await pair.seg.put(LOW, np.full(SIZE, 8, np.uint64))
    await pair.check(LOW, SIZE, 7)


async def test_versions_have_bodies_of_their_own(pair: Pair, server: RunningServer) -> None:
    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await server.post(f"/api/node/{pair.uuid}/commit", json={"note": ""})
    one = pair.at((await server.post(f"/api/node/{pair.uuid}/newversion", json={}))["child"])
    two = pair.at((await server.post(f"/api/node/{pair.uuid}/branch", json={"branch": "two"}))["child"])
    await one.merge(1, 2)
    first = await one.split(3, sparse(np.argwhere(voxels == 3)[:9] + np.array(LOW)))
    second = await two.split(4, sparse(np.argwhere(voxels == 4)[:9] + np.array(LOW)))
    assert first != second
    assert (await pair.check(LOW, SIZE, first, second) == voxels).all()
    assert not (await one.check(LOW, SIZE, 2, second) == 2).any()
    assert (await two.check(LOW, SIZE, first) == second).sum() == 9
    for place, largest in ((pair, 12), (one, first), (two, second)):
        assert await server.get(f"{place.bodies.path}/maxlabel") == {"maxlabel": largest}
    assert await server.get(f"{pair.bodies.path}/nextlabel") == {"nextlabel": second + 1}
    info = await server.get(f"{pair.bodies.path}/info")
    assert info["Extended"]["MaxLabel"] == {pair.uuid: 12, one.uuid: first, two.uuid: second}


async def test_a_commit_of_the_version_waits_for_the_voxels(pair: Pair, server: RunningServer) -> None:
    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await pair.merge(1, 2)
    await server.post(f"/api/node/{pair.uuid}/commit", json={"note": ""})
    assert (await pair.seg.get(LOW, SIZE) == np.where(voxels == 2, 1, voxels)).all()


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_what_was_not_heard_before_a_stop_is_done_at_the_next_start(
    pair: Pair, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvid_core import bus

    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await pair.rest()

    async def never(*args: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(bus.Listener, "take", never)
        patch.setattr("dvid_labelvol.labelvol.PATIENCE", 0.01)
        await pair.merge(1, 2)
        points = np.argwhere(voxels == 3)[:50]
        new = await pair.split(3, sparse(points + np.array(LOW)))
        await pair.merge(4, new)
        block = np.full((SIDE, SIDE, SIDE), 2, np.uint64)
        await pair.seg.put(LOW, block)
        await server.stop()
    await server.start()
    found = await pair.check(LOW, SIZE, 3, new)
    # Edits that come late are done to what was written meanwhile.
    voxels[:SIDE, :SIDE, :SIDE] = 2
    wanted = np.where(voxels == 2, 1, voxels)
    wanted[tuple(points.T)] = 4
    assert (found == wanted).all()


async def test_an_unversioned_pair_is_one_for_all_versions(server: RunningServer) -> None:
    pair = await new_pair(server, versioned="false")
    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await server.post(f"/api/node/{pair.uuid}/commit", json={"note": ""})
    child = pair.at((await server.post(f"/api/node/{pair.uuid}/newversion", json={}))["child"])
    await child.merge(1, 2)
    await pair.merge(3, 1)
    assert (await pair.check(LOW, SIZE, 1, 2) == np.where(np.isin(voxels, (1, 2)), 3, voxels)).all()


async def test_what_is_set_to_follow_later_does_not_hear_what_was_before(server: RunningServer) -> None:
    uuid = await server.repo()
    pair = Pair(server, uuid)
    for name, kind in (("seg", "labelblk"), ("bodies", "labelvol")):
        await server.instance(uuid, name, kind, BlockSize="16,16,16")
    await server.post(f"{pair.bodies.path}/sync", json={"sync": "seg"})
    voxels = cells(SIZE)
    await pair.seg.put(LOW, voxels)
    await pair.merge(1, 2)
    await server.post(f"{pair.seg.path}/sync", json={"sync": "bodies"})
    await pair.seg.put(LOW, voxels)
    assert (await pair.check(LOW, SIZE) == voxels).all()
    await pair.merge(3, 4)
    assert (await pair.check(LOW, SIZE, 4) == np.where(voxels == 4, 3, voxels)).all()


async def test_runs_are_disjoint_and_cut_at_bounds(pair: Pair) -> None:
    voxels = cells(SIZE, count=3)
    await pair.seg.put(LOW, voxels)
    await pair.rest()
    whole = np.argwhere(voxels == 2) + np.array(LOW)
    for low, high in (((-3, 5, 20), (7, 20, 40)), ((0, 0, 32), (15, 15, 47)), ((-16, 31, 16), (-16, 31, 63))):
        z, y, x = low
        zz, yy, xx = high
        options = f"?minx={x}&maxx={xx}&miny={y}&maxy={yy}&minz={z}&maxz={zz}"
        wanted = whole[((whole >= low) & (whole <= high)).all(axis=1)]
        assert np.array_equal(await pair.points(2, options), wanted)  # type: ignore[arg-type]
    assert len(points_of((await pair.bodies.ask("GET", "sparsevol/2?minx=500")).body)) == 0
    assert await pair.points(2, "?minz=500") is None
