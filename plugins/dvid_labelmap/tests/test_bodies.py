"""Mapping, indices, sizes and counters, over versions and restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from dvid_labelmap.mapping import Mapping

from dvid_core.testing.fixtures import RunningServer

from .segmentation import (
    SIDE,
    Segmentation,
    cells,
    counts_of,
    field,
    halved,
    label_index,
    mapping_ops,
    new_segmentation,
)


async def test_voxels_of_mapped_supervoxels_count_for_their_body(seg: Segmentation) -> None:
    await seg.api.post(f"{seg.place}/mappings", mapping_ops((1, [2, 3]), (40, [4])))
    voxels = cells((32, 32, 32))
    await seg.post_blocks((0, 0, 0), voxels)
    await seg.check_indices((0, 0, 0), voxels, {2: 1, 3: 1, 4: 40})
    bodies = voxels.copy()
    bodies[(voxels == 2) | (voxels == 3)] = 1
    bodies[voxels == 4] = 40
    assert (await seg.get((0, 0, 0), voxels.shape) == bodies).all()
    assert (await seg.get((0, 0, 0), voxels.shape, "?supervoxels=true") == voxels).all()
    sizes = await seg.api.demand("GET", f"{seg.place}/sizes", json=[1, 2, 40])
    assert sizes == [int((bodies == n).sum()) for n in (1, 2, 40)]
    sizes = await seg.api.demand("GET", f"{seg.place}/sizes?supervoxels=true", json=[1, 2, 3, 4, 99, 0])
    assert sizes == [*(int((voxels == n).sum()) for n in (1, 2, 3, 4)), 0, 0]


async def test_a_body_of_many_blocks_is_kept_in_segments(seg: Segmentation) -> None:
    voxels = cells((128, 128, 128), count=2, zeros=0)
    await seg.post_blocks((-3, -3, -3), voxels)
    await seg.check_indices((-3, -3, -3), voxels)
    voxels[:32, :32, :32] = 9
    await seg.post_blocks((-3, -3, -3), voxels[:32, :32, :32])
    await seg.check_indices((-3, -3, -3), voxels)
    size = await seg.api.get(f"{seg.place}/sparsevol-size/9")
    assert size == {"voxels": 32**3, "numblocks": 8, "minvoxel": [-48] * 3, "maxvoxel": [-17] * 3}
    voxels[:] = 5
    await seg.post_blocks((-3, -3, -3), voxels)
    await seg.check_indices((-3, -3, -3), voxels)


@pytest.mark.parametrize("blocks", [3, 700])
async def test_an_index_that_is_posted_is_what_is_read(seg: Segmentation, blocks: int) -> None:
    wanted = {(n // 40 - 5, n % 40, -n): {n + 1: 5, 2**64 - 1 - n: 2**31} for n in range(blocks)}
    await seg.api.post(f"{seg.place}/index/77", label_index(77, wanted))
    assert await seg.index(77) == wanted
    assert await seg.api.get(f"{seg.place}/size/77") == {"voxels": blocks * (5 + 2**31)}
    await seg.api.post(f"{seg.place}/indices", field(1, label_index(77, {(0, 0, 0): {3: 4}})))
    assert await seg.index(77) == {(0, 0, 0): {3: 4}}
    await seg.api.post(f"{seg.place}/index/77", label_index(77, {}))
    assert await seg.labels() == []
    assert (await seg.ask("GET", "index/77")).status == 404


async def test_two_bodies_may_list_the_same_supervoxel(seg: Segmentation) -> None:
    for label in (1, 2):
        many = {(0, 0, n): {500: label} for n in range(300)}
        await seg.api.post(f"{seg.place}/index/{label}", label_index(label, many))
    await seg.api.post(f"{seg.place}/index/2", label_index(2, {}))
    assert await seg.index(1) == {(0, 0, n): {500: 1} for n in range(300)}


async def test_versions_see_their_own_mapping_and_indices(server: RunningServer, seg: Segmentation) -> None:
    voxels = cells((32, 32, 32))
    await seg.post_blocks((0, 0, 0), voxels)
    await seg.api.post(f"{seg.place}/mappings", mapping_ops((1, [2])))
    await server.commit(seg.uuid)
    left = seg.at(await server.newversion(seg.uuid))
    right = seg.at(await server.branch(seg.uuid, "side"))
    await left.api.post(f"{left.place}/mappings", mapping_ops((3, [2]), (0, [5])))
    await right.api.post(f"{right.place}/mappings", mapping_ops((2, [2]), (7, [8])))
    for at, wanted in ((seg, "2 1\n"), (left, "2 3\n5 0\n"), (right, "8 7\n")):
        assert (await server.get(f"{at.place}/mappings")).decode() == wanted
    fresh = cells((16, 16, 16), seed=9, first=30)
    await left.put((0, 0, 0), fresh)
    voxels_left = voxels.copy()
    voxels_left[:16, :16, :16] = fresh
    assert (await left.get((0, 0, 0), voxels.shape, "?supervoxels=true") == voxels_left).all()
    for at in (seg, right):
        assert (await at.get((0, 0, 0), voxels.shape, "?supervoxels=true") == voxels).all()
        await at.check_indices((0, 0, 0), voxels)


async def test_of_parents_that_map_differently_the_first_counts(server: RunningServer, seg: Segmentation) -> None:
    await server.commit(seg.uuid)
    sides = [seg.at(await server.branch(seg.uuid, name)) for name in "ab"]
    for body, side in zip((10, 20), sides):
        await server.post(f"{side.place}/mappings", mapping_ops((body, [1]), (body + 1, [body])))
        await server.commit(side.uuid)
    merged = seg.at(await server.merge(sides[1].uuid, sides[0].uuid))
    found = await server.demand("GET", f"{merged.place}/mapping?nolookup=true", json=[1, 10, 20])
    assert found == [20, 11, 21]


async def state_of(seg: Segmentation) -> list[Any]:
    names = list(range(1, 60))
    return [
        await seg.api.demand("GET", f"{seg.place}/mapping", json=names),
        await seg.api.demand("GET", f"{seg.place}/sizes", json=names),
        await seg.api.get(f"{seg.place}/mappings"),
        await seg.api.get(f"{seg.place}/maxlabel"),
        await seg.api.get(f"{seg.place}/nextlabel"),
        (await seg.api.get(f"{seg.place}/info"))["Extended"],
    ]


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_what_is_in_memory_is_there_again_after_a_restart(server: RunningServer, seg: Segmentation) -> None:
    await seg.post_blocks((0, 0, 0), cells((32, 32, 32)), "?downres=true")
    await server.post(f"{seg.place}/mappings", mapping_ops((1, [2, 3]), (0, [4])))
    many = np.arange(10_000, 60_000)
    await server.post(f"{seg.place}/mappings", mapping_ops((55, many.tolist())))
    await server.post(f"{seg.place}/nextlabel/5")
    await server.post(f"{seg.place}/set-nextlabel/200?ceiling=300", admin=True)
    await server.post(f"{seg.place}/nextlabel/2")
    before = await state_of(seg)
    assert b"10000 55\n" in before[2]
    await server.restart()
    assert await state_of(seg) == before
    instance: Any = server.server.repos.find(seg.uuid)[0].instance("seg")
    await instance.save_snapshot()
    await server.post(f"{seg.place}/mappings", mapping_ops((9, [2])))
    before = await state_of(seg)
    await server.restart()
    assert await state_of(seg) == before


async def test_neighbouring_blocks_written_at_once_are_all_right(seg: Segmentation) -> None:
    voxels = cells((64, 64, 64), count=4, zeros=0)
    jobs = []
    for at in np.ndindex(4, 4, 4):
        z, y, x = (SIDE * i for i in at)
        block = voxels[z : z + SIDE, y : y + SIDE, x : x + SIDE]
        jobs.append(seg.post_blocks((at[0], at[1], at[2]), block, "?downres=true"))
    await asyncio.gather(*jobs)
    await seg.check_indices((0, 0, 0), voxels)
    assert (await seg.get((0, 0, 0), (32, 32, 32), "?scale=1") == halved(voxels)).all()
    assert (await seg.get((0, 0, 0), (16, 16, 16), "?scale=2") == halved(halved(voxels))).all()


async def test_writers_of_one_block_leave_one_of_their_contents(seg: Segmentation) -> None:
    contents = [cells((16, 16, 16), seed=n, first=20 * n + 1) for n in range(8)]
    await asyncio.gather(*(seg.put((0, 0, 0), c) for c in contents))
    found = await seg.get((0, 0, 0), (16, 16, 16))
    [last] = [c for c in contents if (c == found).all()]
    await seg.check_indices((0, 0, 0), last)


async def test_labels_are_handed_out_once(server: RunningServer, seg: Segmentation) -> None:
    replies = await asyncio.gather(*(server.post(f"{seg.place}/nextlabel/3") for _ in range(20)))
    taken = sorted(n for r in replies for n in range(r["start"], r["end"] + 1))
    assert taken == list(range(1, 61))


async def test_ids_of_64_bits_stay_exact(server: RunningServer) -> None:
    seg = await new_segmentation(server)
    ids = [2**53 + 1, 2**63, 2**64 - 2]
    voxels = np.repeat(np.array([*ids, 2**64 - 1], np.uint64), 4 * 16 * 16).reshape(16, 16, 16)
    await seg.put((0, 0, 0), voxels)
    assert await seg.labels() == [*ids, 2**64 - 1]
    await server.post(f"{seg.place}/mappings", mapping_ops((ids[0], [ids[2]])))
    assert await server.demand("GET", f"{seg.place}/mapping", json=ids) == [ids[0], ids[1], ids[0]]
    assert await server.get(f"{seg.place}/label/0_0_9") == {"Label": ids[0]}
    assert (await server.get(f"{seg.place}/maxlabel"))["maxlabel"] == 2**64 - 1
    await seg.refused("POST", "nextlabel/1")


@pytest.mark.parametrize(
    "body", [b"", b"x", b"{}", b"[1.5]", b"[-1]", b'["1"]', b"[18446744073709551616]", b"[" * 9999]
)
async def test_what_is_no_list_of_labels_is_refused(seg: Segmentation, body: bytes) -> None:
    for endpoint in ("mapping", "sizes", "indices", "indices-compressed"):
        await seg.refused("GET", endpoint, body)


async def test_an_index_agrees_with_numpy_after_random_writes(seg: Segmentation) -> None:
    rng = np.random.default_rng(0)
    volume = np.zeros((48, 48, 48), np.uint64)
    for n in range(12):
        low = rng.integers(0, 3, 3)
        size = rng.integers(1, 4 - low)
        part = cells(tuple(SIDE * size), seed=n, count=5)
        box = tuple(slice(SIDE * a, SIDE * (a + b)) for a, b in zip(low, size))
        volume[box] = part
        await seg.put(tuple(SIDE * low), part, "?mutate=true" if n % 2 else "")
    await seg.check_indices((0, 0, 0), volume)
    assert len(counts_of((0, 0, 0), volume)) > 3


def test_a_mapping_takes_few_bytes_and_all_versions_share_it() -> None:
    mapping = Mapping()
    supervoxels = np.arange(1, 200_001, dtype=np.uint64)
    mapping.add(1, supervoxels, supervoxels + np.uint64(10**9))
    for n in range(1000):
        mapping.add(2, np.array([n + 1], np.uint64), np.array([7], np.uint64))
    assert mapping.nbytes <= 40 * mapping.count
    assert len(mapping.layers) < 12
    root, child = mapping.seen([1]), mapping.seen([2, 1])
    asked = np.array([1, 1000, 1001, 500_000], np.uint64)
    assert root.bodies(asked).tolist() == [10**9 + 1, 10**9 + 1000, 10**9 + 1001, 500_000]
    assert child.bodies(asked).tolist() == [7, 7, 10**9 + 1001, 500_000]
    assert mapping.seen([3]).empty
