"""Sparse volumes in all their forms, of small and of large bodies, while others edit."""

from __future__ import annotations

import asyncio
import gzip
import random
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation import nanovdb_grid, sparse, sparse_forms, sparse_pile

from .nanovdb import read_grid
from .segmentation import SIDE, Array, Segmentation, Triple, cells, halved, mapping_ops, new_segmentation
from .sparse_volumes import runs_of_mask, voxels_of_masks, voxels_of_rles, voxels_of_runs

FIRST: Triple = (-2, 0, -4)
"""The first block of the volumes here."""
LOW: Triple = (-32, 0, -64)


async def filled(seg: Segmentation, shape: Triple = (64, 32, 96), **options: Any) -> Array:
    """A volume with lower scales, whose first block is `FIRST`."""
    voxels = cells(shape, **options)
    await seg.post_blocks(FIRST, voxels, "?downres=true")
    return voxels


def scale_of(voxels: Array, scale: int) -> tuple[Array, Triple]:
    """A lower scale and its first voxel."""
    for _ in range(scale):
        voxels = halved(voxels)
    z, y, x = (n >> scale for n in LOW)
    return voxels, (z, y, x)


@pytest.mark.parametrize("scale", [0, 1, 2])
async def test_all_forms_have_the_same_voxels(seg: Segmentation, scale: int) -> None:
    voxels, low = scale_of(await filled(seg), scale)
    for label in (1, 7):
        wanted = voxels == label
        place = f"{seg.place}/sparsevol/{label}?scale={scale}"
        plain = await seg.api.get(place)
        assert (voxels_of_rles(plain, wanted.shape, low) == wanted).all()
        assert gzip.decompress(await seg.api.get(f"{place}&compression=gzip")) == plain
        packed = await seg.api.get(f"{place}&compression=lz4")
        assert lz4.block.decompress(packed, uncompressed_size=len(plain)) == plain
        assert await seg.api.get(f"{place}&format=srles&compression=gzip") == plain[12:]
        masks = await seg.api.get(f"{place}&format=blocks&compression=lz4")
        assert (voxels_of_masks(masks, label, wanted.shape, low) == wanted).all()
        points = read_grid(await seg.api.get(f"{seg.place}/fvdb/{label}?scale={scale}"))
        assert np.array_equal(points, np.argwhere(wanted) + low)


@pytest.mark.parametrize("engine", ["rocksdb"])
@pytest.mark.parametrize("blocks", [3, 200], ids=["one value", "segments"])
async def test_bounds_are_exact_at_every_scale(seg: Segmentation, blocks: int) -> None:
    shape = (64, 32, 96) if blocks == 3 else (96, 96, 128)
    volume = await filled(seg, shape, count=3)
    rng = random.Random(blocks)
    for n in range(24):
        scale = n % 3
        voxels, low = scale_of(volume, scale)
        wanted = np.zeros(voxels.shape, bool)
        corners = [sorted(rng.randrange(-3, s + 3) for _ in "ab") for s in voxels.shape]
        box = tuple(slice(max(a, 0), max(b + 1, 0)) for a, b in corners)
        wanted[box] = voxels[box] == 2
        sides = [(f"min{c}", a + o) for c, (a, _), o in zip("zyx", corners, low)]
        sides += [(f"max{c}", b + o) for c, (_, b), o in zip("zyx", corners, low)]
        options = "".join(f"&{name}={value}" for name, value in sides)
        place = f"sparsevol/2?scale={scale}{options}"
        answer = await seg.ask("GET", place)
        head = await seg.ask("HEAD", place)
        assert (answer.status, head.status) in ((200, 200), (404, 204)), place
        assert (voxels_of_rles(answer.body, wanted.shape, low) == wanted).all(), place
        # Whole blocks, and the same ones, where the voxels are not to be exact.
        near = await seg.ask("GET", f"{place}&exact=false")
        masks = await seg.ask("GET", f"{place}&format=blocks")
        assert near.status == masks.status == answer.status
        loose = voxels_of_rles(near.body, wanted.shape, low)
        assert (loose == voxels_of_masks(masks.body, 2, wanted.shape, low)).all()
        assert (loose >= wanted).all() and (loose <= (voxels == 2)).all()


async def test_bounds_below_zero_are_those_of_their_blocks(seg: Segmentation) -> None:
    voxels = np.zeros((16, 16, 32), np.uint64)
    voxels[:, :, 16:] = 5
    await seg.post_blocks((0, 0, -1), voxels)
    assert (await seg.ask("GET", "sparsevol/5?maxx=-1")).status == 404
    assert (await seg.ask("HEAD", "sparsevol/5?maxx=-1")).status == 204
    assert (await seg.ask("HEAD", "sparsevol/5?minx=-1")).status == 200
    assert (await seg.ask("GET", "sparsevol/5?minx=20&maxx=3")).status == 404


async def test_a_label_without_voxels_in_the_bounds_gives_an_empty_reply(seg: Segmentation) -> None:
    voxels = np.zeros((16, 16, 16), np.uint64)
    voxels[0, 0, 0] = 5
    await seg.put((0, 0, 0), voxels)
    for options in ("minx=8", "minx=8&compression=gzip", "minx=8&compression=lz4", "minx=8&format=srles", "scale=2"):
        answer = await seg.ask("GET", f"sparsevol/5?{options}")
        assert (answer.status, len(answer.body) > 0) == (200, options == "scale=2"), options
    assert await seg.api.get(f"{seg.place}/sparsevol-coarse/5?minx=16") == b"\0\3" + bytes(10)
    assert (await seg.ask("GET", "sparsevol-coarse/6?minx=16")).status == 404


async def test_lower_scales_that_were_not_computed_are_left_out(seg: Segmentation) -> None:
    voxels = cells((32, 32, 32), count=2, zeros=0)
    await seg.post_blocks((0, 0, 0), voxels)
    for form in ("rles", "srles", "blocks"):
        assert await seg.api.get(f"{seg.place}/sparsevol/1?scale=1&format={form}") == b""
    await seg.refused("GET", "fvdb/1?scale=1")
    await seg.post_blocks((0, 0, 0), halved(voxels), "?scale=1")
    assert len(await seg.api.get(f"{seg.place}/sparsevol/1?scale=1")) > 12


async def large(seg: Segmentation) -> tuple[Array, Array]:
    """A body of 512 blocks and three supervoxels, and the voxels of it."""
    voxels = await filled(seg, (128, 128, 128), count=4, zeros=0)
    await seg.api.post(f"{seg.place}/mappings", mapping_ops((1, [2, 3])))
    await seg.post_blocks(FIRST, voxels, "?downres=true")
    for old in (2, 3):
        await seg.api.post(f"{seg.place}/index/{old}", b"\x10" + bytes([old]))
    return voxels, np.isin(voxels, [1, 2, 3])


@pytest.mark.parametrize("memory", [1 << 12, 1 << 30], ids=["through a file", "in memory"])
async def test_large_bodies_are_streamed(seg: Segmentation, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, wanted = await large(seg)
    monkeypatch.setattr(sparse_pile, "MEMORY", memory)
    monkeypatch.setattr(sparse_pile.Pile.__init__, "__defaults__", (memory,))
    monkeypatch.setattr(nanovdb_grid, "LAYER_MEMORY", memory)
    monkeypatch.setattr(nanovdb_grid, "CHUNK", 1000)
    monkeypatch.setattr(nanovdb_grid, "TOGETHER", 3)
    monkeypatch.setattr(sparse_pile, "SENT", 10_000)
    place = f"{seg.place}/sparsevol/1"
    answer = await seg.ask("GET", "sparsevol/1")
    plain = answer.body
    assert answer.headers["Content-Length"] == str(len(plain))
    assert (voxels_of_rles(plain, wanted.shape, LOW) == wanted).all()
    assert gzip.decompress(await seg.api.get(f"{place}?compression=gzip")) == plain
    packed = await seg.api.get(f"{place}?compression=lz4")
    assert lz4.block.decompress(packed, uncompressed_size=len(plain)) == plain
    assert await seg.api.get(f"{place}?format=srles") == plain[12:]
    masks = await seg.api.get(f"{place}?format=blocks")
    assert (voxels_of_masks(masks, 1, wanted.shape, LOW) == wanted).all()
    points = read_grid(await seg.api.get(f"{seg.place}/fvdb/1"))
    assert np.array_equal(points, np.argwhere(wanted) + LOW)


async def test_supervoxels_are_parts_of_their_body(seg: Segmentation) -> None:
    voxels, wanted = await large(seg)
    whole = np.zeros(wanted.shape, bool)
    for label in (1, 2, 3):
        data = await seg.api.get(f"{seg.place}/sparsevol/{label}?supervoxels=true")
        part = voxels_of_rles(data, wanted.shape, LOW)
        assert (part == (voxels == label)).all()
        size = await seg.api.get(f"{seg.place}/sparsevol-size/{label}?supervoxels=true")
        assert (
            size["voxels"] == part.sum() == (await seg.api.get(f"{seg.place}/size/{label}?supervoxels=true"))["voxels"]
        )
        whole |= part
    assert (whole == wanted).all()
    coarse = await seg.api.get(f"{seg.place}/sparsevol-coarse/1")
    assert voxels_of_rles(coarse, (8, 8, 8), FIRST).all()
    bounded = await seg.api.get(f"{seg.place}/sparsevol-coarse/1?minz=0&maxx=-17")
    found = np.argwhere(voxels_of_rles(bounded, (8, 8, 8), FIRST))
    assert found.min(axis=0).tolist() == [2, 0, 0] and found.max(axis=0).tolist() == [7, 7, 2]


async def test_coarse_volumes_of_a_range_come_in_order(seg: Segmentation) -> None:
    voxels, _ = await large(seg)
    await seg.post_blocks((9, 9, 9), np.full((16, 16, 16), 2**64 - 1, np.uint64))
    data = await seg.api.get(f"{seg.place}/sparsevols-coarse/1/{2**64 - 1}")
    labels, at = [], 0
    while at < len(data):
        label, runs = int.from_bytes(data[at : at + 8], "little"), int.from_bytes(data[at + 8 : at + 12], "little")
        labels.append(label)
        alone = await seg.api.get(f"{seg.place}/sparsevol-coarse/{label}")
        assert alone[12:] == data[at + 12 : at + 12 + 16 * runs]
        at += 12 + 16 * runs
    assert labels == [1, 4, 2**64 - 1]
    assert voxels.max() == 4
    assert await seg.api.get(f"{seg.place}/sparsevols-coarse/5/9") == b""
    assert await seg.api.get(f"{seg.place}/sparsevols-coarse/9/5") == b""
    outside = await seg.api.get(f"{seg.place}/sparsevols-coarse/1/4?minx=5000")
    assert outside == b"".join(n.to_bytes(8, "little") + bytes(4) for n in (1, 4))


async def test_of_parents_that_disagree_the_first_one_tells_the_blocks(
    server: RunningServer, seg: Segmentation
) -> None:
    await seg.put((0, 0, 0), np.full((16, 16, 16), 5, np.uint64))
    await server.commit(seg.uuid)
    sides = [seg.at(await server.newversion(seg.uuid)), seg.at(await server.branch(seg.uuid, "other"))]
    for n, side in enumerate(sides):
        await side.post_blocks((0, 0, 1 + n), np.full((16, 16, 16), 5, np.uint64))
        await server.commit(side.uuid)
    both = seg.at(await server.merge(*(side.uuid for side in sides)))
    data = await server.get(f"{both.place}/sparsevols-coarse/1/9")
    assert data == (5).to_bytes(8, "little") + np.array([1, 0, 0, 0, 2], "<i4").tobytes()
    answer = await both.ask("GET", "sparsevol/5")
    assert answer.status >= 400 and "conflict" in answer.text


BAD = (
    "sparsevol/0", "sparsevol/x", "sparsevol/-1", "sparsevol/18446744073709551616", "sparsevol/%EF%BC%91",
    "sparsevol/1?scale=3", "sparsevol/1?scale=-1", "sparsevol/1?scale=256", "sparsevol/1?scale=1.0",
    "sparsevol/1?minx=", "sparsevol/1?minx=%201", "sparsevol/1?maxz=2147483648", "sparsevol/1?miny=1e3",
    "sparsevol/1?maxx=1_0", "sparsevol/1?compression=snappy", "sparsevol/1?format=rles&compression=GZIP",
    "sparsevol-by-point/1_2", "sparsevol-by-point/1_2_x", "sparsevol-by-point/9999_0_0",
    "sparsevol-by-point/0_0_0?scale=9",
    "sparsevol-coarse/0", "sparsevol-coarse/1?maxy=a", "sparsevols-coarse/1", "sparsevols-coarse/0/4",
    "sparsevols-coarse/1/0", "sparsevols-coarse/1/x", "sparsevol-size/0", "fvdb/0", "fvdb/1?scale=7", "fvdb/x",
    "proximity/1", "proximity/1/1", "proximity/0/1", "proximity/1/0", "proximity/1,2",
)  # fmt: skip


@pytest.mark.parametrize("engine", ["memory"])
async def test_what_makes_no_sense_is_refused(seg: Segmentation) -> None:
    await filled(seg)
    for path in BAD:
        await seg.refused("GET", path)
    for path in ("sparsevol/1", "sparsevol-coarse/1", "fvdb/1", "sparsevol-by-point/1_1_1", "proximity/1/2"):
        await seg.refused("POST", path)
        await seg.refused("PUT", path)
    for path in ("sparsevol/99", "sparsevol/99?format=blocks", "sparsevol-coarse/99", "fvdb/99", "sparsevol-size/99",
                 "proximity/1/99", "proximity/99/1", "sparsevol/99?supervoxels=true"):  # fmt: skip
        answer = await seg.ask("GET", path)
        assert (answer.status, answer.body) == (404, b""), path


async def test_a_retired_supervoxel_is_refused_and_its_body_is_served(seg: Segmentation) -> None:
    voxels = await filled(seg)
    mask = voxels == 3
    half = mask.copy()
    half[:, :, :40] = False
    made = await seg.api.post(f"{seg.place}/split-supervoxel/3", runs_of_mask(half, LOW))
    for path in ("sparsevol", "sparsevol-size", "sparsevol-coarse", "fvdb"):
        await seg.refused("GET", f"{path}/3?supervoxels=true")
    assert (await seg.ask("HEAD", "sparsevol/3?supervoxels=true")).status == 400
    assert (voxels_of_rles(await seg.api.get(f"{seg.place}/sparsevol/3"), mask.shape, LOW) == mask).all()
    part = await seg.api.get(f"{seg.place}/sparsevol/{made['SplitSupervoxel']}?supervoxels=true")
    assert (voxels_of_rles(part, mask.shape, LOW) == half).all()
    assert (await seg.ask("GET", f"sparsevol/{made['SplitSupervoxel']}")).status == 404


async def test_an_instance_without_indices_says_so(server: RunningServer) -> None:
    seg = await new_segmentation(server, IndexedLabels="false")
    await seg.put((0, 0, 0), cells((16, 16, 16)))
    for path in ("sparsevol/1", "sparsevol-by-point/1_1_1", "sparsevol-coarse/1", "fvdb/1", "proximity/1/2"):
        await seg.refused("GET", path)
    assert (await seg.ask("GET", "sparsevol-size/1")).status == 404
    assert await seg.api.get(f"{seg.place}/sparsevols-coarse/1/9") == b""


# -- while others edit


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_readers_see_whole_bodies_while_others_edit_them(
    server: RunningServer, seg: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "PAGE", 8)
    monkeypatch.setattr(sparse_forms, "PAGE", 8)
    voxels = await filled(seg, (64, 64, 96), count=3, zeros=0)
    alone, joined = voxels == 1, voxels <= 2
    third = voxels == 3
    ended = False
    seen = {"alone": 0, "joined": 0, "third": 0}

    async def edit_bodies() -> None:
        for _ in range(8):
            await server.demand("POST", f"{seg.place}/merge", json=[1, 2])
            await server.demand("POST", f"{seg.place}/cleave/1", json=[2])
            [cleaved] = [n for n in await seg.labels() if n > 3]
            await server.demand("POST", f"{seg.place}/renumber", json=[2, cleaved])

    async def edit_voxels() -> None:
        rng = np.random.default_rng(1)
        for _ in range(4):
            name = int(rng.choice(await server.get(f"{seg.place}/supervoxels/3")))
            data = await server.get(f"{seg.place}/sparsevol/{name}?supervoxels=true")
            here = voxels_of_rles(data, voxels.shape, LOW)
            await server.post(
                f"{seg.place}/split-supervoxel/{name}", runs_of_mask(here & (rng.random(here.shape) < 0.5), LOW)
            )
        for _ in range(2):
            await server.post(f"{seg.place}/undo/3")

    async def read_bodies() -> None:
        rng = random.Random(2)
        while not ended:
            form, read = rng.choice([("rles", voxels_of_rles), ("srles", voxels_of_runs)])
            data = await server.get(f"{seg.place}/sparsevol/1?format={form}")
            found = read(data, voxels.shape, LOW)
            which = "alone" if found.sum() == alone.sum() else "joined"
            assert (found == (alone if which == "alone" else joined)).all()
            seen[which] += 1

    async def read_voxels() -> None:
        while not ended:
            found = voxels_of_rles(await server.get(f"{seg.place}/sparsevol/3"), voxels.shape, LOW)
            assert (found == third).all()
            seen["third"] += 1

    readers = [asyncio.ensure_future(job()) for job in (read_bodies, read_bodies, read_voxels, read_voxels)]
    try:
        await asyncio.gather(edit_bodies(), edit_voxels())
    finally:
        ended = True
        await asyncio.gather(*readers)
    assert seen["third"] and seen["alone"] + seen["joined"]


@pytest.mark.parametrize("engine", ["rocksdb"])
@pytest.mark.parametrize("undone", [False, True], ids=["split", "split and undone"])
async def test_a_read_that_began_before_a_split_ends_as_it_began(
    server: RunningServer, seg: Segmentation, undone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "PAGE", 8)
    voxels = await filled(seg, (96, 96, 96), count=2, zeros=0)
    wanted = voxels == 2
    half = wanted & (np.indices(voxels.shape).sum(axis=0) % 3 == 0)
    if undone:
        await server.post(f"{seg.place}/split-supervoxel/2", runs_of_mask(half, LOW))
    repo, node = server.server.repos.find(seg.uuid)
    view: Any = sparse.View(repo.instance("seg"), node)
    found = await sparse.find_sparse(view, 2)
    assert found is not None
    parts = []
    async for runs in found.made(sparse.runs_of, None):
        parts.append(bytes(runs))
        if len(parts) == 2:
            path = "undo/2" if undone else "split-supervoxel/2"
            await server.post(f"{seg.place}/{path}", b"" if undone else runs_of_mask(half, LOW))
            await server.post(f"{seg.place}/merge", b"[1, 2]")
    assert len(parts) > 10
    assert (voxels_of_runs(b"".join(parts), wanted.shape, LOW) == wanted).all()


async def test_a_damaged_block_costs_its_request_only(server: RunningServer, seg: Segmentation) -> None:
    from dvid_core import View
    from dvid_voxels.segmentation.keys import BLOCK

    voxels = await filled(seg)
    instance = server.server.repos.find(seg.uuid)[0].instance("seg")
    view = View(instance, server.server.repos.find(seg.uuid)[1])

    whole = await view.get(BLOCK.key(0, FIRST))
    assert whole is not None

    async def put(block: bytes) -> None:
        async def change(m: Any) -> None:
            m.put(BLOCK.key(0, FIRST), block)

        await view.edit("damage", change)

    await put(whole[:-20])
    [label] = np.unique(voxels[:16, :16, :16])[1:2].tolist()
    for path in ("sparsevol", "fvdb"):
        assert (await seg.ask("GET", f"{path}/{label}")).status == 500
    await put(whole)
    data = await seg.api.get(f"{seg.place}/sparsevol/{label}")
    assert (voxels_of_rles(data, voxels.shape, LOW) == (voxels == label)).all()


# -- NanoVDB, proximity


async def test_a_grid_may_reach_far(seg: Segmentation) -> None:
    places = [(0, 0, 0), (0, 0, 300), (0, -300, 2), (-300, 5, 7), (260, 0, 0), (0, 0, 8)]
    block = np.zeros((SIDE, SIDE, SIDE), np.uint64)
    block[3:, ::5, 1:9] = 7
    wanted = []
    for at in places:
        await seg.post_blocks(at, block)
        wanted.append(np.argwhere(block) + np.array(at) * SIDE)
    points = np.concatenate(wanted)
    data = await seg.api.get(f"{seg.place}/fvdb/7")
    assert np.array_equal(read_grid(data), points[np.lexsort(points.T[::-1])])


async def test_the_name_of_a_grid_is_that_of_its_file(seg: Segmentation) -> None:
    await filled(seg)
    long = "n" * 300
    for name, quoted in (("a%20b", "a b"), ("%22%5C%0A", '\\"\\\\_'), (long, long), ("%C3%A9", "é")):
        answer = await seg.ask("GET", f"fvdb/1?name={name}")
        sent = answer.headers["Content-Disposition"].encode(errors="surrogateescape").decode()
        assert sent == f'attachment; filename="{quoted}.nvdb"'
        assert answer.headers["Content-Length"] == str(len(answer.body))
    assert (await seg.ask("GET", f"fvdb/1?name={long}")).body[40:296] == b"n" * 256
    assert (await seg.ask("GET", "fvdb/1")).body[40:296] == b"label_1".ljust(256, b"\0")


async def test_proximity_is_the_least_distance_in_each_shared_block(seg: Segmentation) -> None:
    voxels = await filled(seg, count=9)
    found = await seg.api.get(f"{seg.place}/proximity/1/2")
    wanted = {}
    for at in np.ndindex(4, 2, 6):
        block = voxels[tuple(slice(SIDE * n, SIDE * n + SIDE) for n in at)]
        first, second = np.argwhere(block == 1), np.argwhere(block == 2)
        if len(first) and len(second):
            distance = ((first[:, None] - second[None]) ** 2).sum(axis=2).min() ** 0.5
            wanted[tuple(n + o for n, o in zip(at, FIRST))[::-1]] = distance
    assert {tuple(entry["Block"]): entry["Distance"] for entry in found} == pytest.approx(wanted)
    assert {entry["Label"] for entry in found} == {2} and len(found) == len(wanted)
    await seg.post_blocks((50, 0, 0), np.full((16, 16, 16), 77, np.uint64))
    assert await seg.api.get(f"{seg.place}/proximity/1/77") == []
