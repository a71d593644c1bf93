"""Merge, cleave, renumber and splits: what each does to everything that can be read, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from msgspec.structs import replace

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation import rewriting

from .proofreading import LOW, Bodies, everything, runs_of, sparse_volume
from .segmentation import Segmentation, Triple, cells, mapping_ops, new_segmentation

SHAPE: Triple = (32, 48, 64)
LARGE: Triple = (96, 96, 112)
"""More blocks than an index has that is stored as one value."""


@pytest_asyncio.fixture(params=["small", "large"])
async def bodies(seg: Segmentation, request: pytest.FixtureRequest) -> Bodies:
    """Twelve supervoxels, 1 to 12; all have voxels in most blocks."""
    shape = SHAPE if request.param == "small" else LARGE
    voxels = cells(shape, count=12)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    return Bodies(seg, voxels)


async def test_a_merge_gives_all_supervoxels_to_the_target(bodies: Bodies) -> None:
    await bodies.merge(3, 1, 2, 1)
    await bodies.merge(4, 3, 12)
    await bodies.check()
    for gone in (1, 2, 3, 12):
        assert (await bodies.seg.ask("GET", f"supervoxels/{gone}")).status == 404


async def test_a_cleave_makes_a_new_body(bodies: Bodies) -> None:
    await bodies.merge(5, 1, 2, 3)
    new, _ = await bodies.cleave(5, 2, 5)
    assert new == 13
    await bodies.check()
    # The body 5 no longer has the supervoxel that it is called by, and goes on without it.
    await bodies.merge(5, 4)
    await bodies.cleave(5, 4)
    await bodies.check()


async def test_bodies_are_renumbered_in_order_and_names_are_used_again(bodies: Bodies) -> None:
    await bodies.merge(1, 2)
    await bodies.renumber(100, 1, 200, 3, 1, 4, 3, 100, 100, 200)
    assert bodies.names == [1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 100]
    await bodies.check()
    # 2 is the name of a supervoxel of body 3 now, and may be that of a body too.
    await bodies.renumber(2, 5)
    await bodies.check()
    await bodies.merge(2, 3)
    await bodies.cleave(2, 2)
    await bodies.check()
    largest = await bodies.seg.api.get(f"{bodies.seg.place}/maxlabel")
    assert largest == {"maxlabel": 201}


async def test_a_supervoxel_is_cut_in_two(bodies: Bodies) -> None:
    await bodies.merge(1, 2)
    assert await bodies.split(2) == (13, 14)
    await bodies.check()
    assert await bodies.split(14, options="?split=500&remain=400") == (500, 400)
    assert await bodies.split(1, options="?remain=600") == (501, 600)
    await bodies.check()
    splits = await bodies.seg.api.get(f"{bodies.seg.place}/supervoxel-splits")
    assert splits[0] == bodies.seg.uuid
    assert [s[1:] for s in splits[1]] == [[2, 14, 13], [14, 400, 500], [1, 600, 501]]


async def test_lower_scales_may_be_left_as_they_were(bodies: Bodies) -> None:
    before = await bodies.seg.get((0, 0, 0), (16, 16, 16), "?scale=1&supervoxels=true")
    await bodies.split(1, options="?downres=false")
    await bodies.check(scales=False)
    assert (await bodies.seg.get((0, 0, 0), (16, 16, 16), "?scale=1&supervoxels=true") == before).all()


async def test_voxels_that_are_posted_later_count_for_the_body_of_their_supervoxel(bodies: Bodies) -> None:
    await bodies.merge(1, 2, 3)
    new, _ = await bodies.cleave(1, 2)
    await bodies.renumber(77, new)
    bodies.voxels[:16, :16, :32] = 2
    await bodies.seg.put(bodies.low, bodies.voxels[:16, :16, :32], "?mutate=true")
    await bodies.check(scales=False)


async def test_ids_of_64_bits_stay_exact(server: RunningServer) -> None:
    seg = await new_segmentation(server)
    ids = [2**53 + 1, 2**63 + 3, 2**63 + 5]
    voxels = np.repeat(np.array(ids, np.uint64), 16 * 16 * 16).reshape(48, 16, 16)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    await bodies.merge(ids[1], ids[0])
    assert (await bodies.cleave(ids[1], ids[0]))[0] == 2**63 + 6
    await bodies.split(ids[2], options=f"?split={2**64 - 2}")
    await bodies.check(scales=False)


# -- refusals

RUN = np.array([[0, 0, 0, 3]], "<i4").tobytes()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("merge", text) for text in ("", "x", "{}", "[]", "[1]", "[1,1]", "[1,2,1]", "[0,1]", "[1,0]", "[1,99]",
                                       "[99,1]", "[1,5]", "[1,2,5]", "[1.0,2]", "[-1,2]", '["1","2"]', "[true,2]",
                                       f"[1,{2**64}]", "[1,2", "[" * 9999, "null")),
        *(("cleave/4", text) for text in ("", "x", "{}", "[]", "[1]", "[4,1]", "[4,5]", "[4,5,5,4]", "[0]", "[99]")),
        ("cleave/5", "[5]"), ("cleave/1", "[1]"), ("cleave/0", "[1]"), ("cleave/99", "[99]"), ("cleave/x", "[1]"),
        ("cleave", "[1]"), ("cleave/-1", "[1]"), ("cleave/18446744073709551616", "[1]"),
        *(("renumber", text) for text in ("", "x", "{}", "[1]", "[50,1,51]", "[1,1]", "[2,1]", "[0,1]", "[50,0]",
                                          "[50,99]", "[50,5]", "[50,1,50,2]", "[50,1,51,1]", "[50,1,60,99]",
                                          "[50.0,1]")),
        ("undo/1", ""), ("undo/0", ""), ("undo/99", ""), ("undo", ""), ("undo/x", ""),
        ("split/1", sparse_volume(RUN)),
    ],
)  # fmt: skip
async def test_a_bad_edit_is_refused_and_changes_nothing(seg: Segmentation, path: str, body: str | bytes) -> None:
    voxels = cells((16, 16, 32), count=9)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    await bodies.merge(4, 5)
    before = await everything(seg, (16, 16, 32))
    await seg.refused("POST", path, body.encode() if isinstance(body, str) else body)
    assert await everything(seg, (16, 16, 32)) == before


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ("", lambda good: good[:5]),
        ("", lambda good: b""),
        ("", lambda good: good[:-1]),
        ("", lambda good: b"\1" + good[1:]),
        ("", lambda good: good[:8] + b"\0\0\0\0"),
        ("", lambda good: good[:8] + b"\xff\xff\xff\xff" + good[12:]),
        ("overlapping", lambda good: sparse_volume(good[12:28] + good[12:])),
        ("length 0", lambda good: sparse_volume(good[12:24] + bytes(4) + good[28:])),
        ("length -1", lambda good: sparse_volume(good[12:24] + b"\xff" * 4 + good[28:])),
        ("far away", lambda good: sparse_volume(np.array([[1 << 30, 0, 0, 1]], "<i4").tobytes())),
        ("at the end of the numbers", lambda good: sparse_volume(np.array([[2**31 - 1, 0, 0, 9]], "<i4").tobytes())),
        ("?split=7", lambda good: good),
        ("?remain=1", lambda good: good),
        ("?split=5", lambda good: good),
        ("?split=0", lambda good: good),
        ("?split=70&remain=70", lambda good: good),
        ("?split=x", lambda good: good),
        ("?split=-1", lambda good: good),
        ("?remain=18446744073709551616", lambda good: good),
    ],
)
async def test_a_bad_split_is_refused_and_changes_nothing(seg: Segmentation, options: str, change: Any) -> None:
    voxels = cells((16, 32, 32), count=9)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    await bodies.merge(4, 5)
    before = await everything(seg, (16, 32, 32))
    good = bodies.part(1)
    query = options if options.startswith("?") else ""
    await seg.refused("POST", f"split-supervoxel/1{query}", change(good))
    assert await everything(seg, (16, 32, 32)) == before


async def test_runs_that_leave_the_supervoxel_or_are_all_of_it_are_refused(bodies: Bodies) -> None:
    await bodies.merge(4, 5)
    shape: Any = bodies.voxels.shape
    before = await everything(bodies.seg, shape)
    whole = bodies.voxels == 1
    other = bodies.mask(1)
    other[tuple(np.argwhere(bodies.voxels == 2)[-1])] = True
    for mask in (whole, other, bodies.mask(2)):
        await bodies.seg.refused("POST", "split-supervoxel/1", sparse_volume(runs_of(mask, bodies.low)))
    for supervoxel in (0, 13, 99):
        await bodies.seg.refused("POST", f"split-supervoxel/{supervoxel}", bodies.part(1))
    assert await everything(bodies.seg, shape) == before
    await bodies.split(1)
    await bodies.seg.refused("POST", "split-supervoxel/1", sparse_volume(runs_of(other, bodies.low)))


async def test_an_instance_without_indices_has_no_edits(server: RunningServer) -> None:
    seg = await new_segmentation(server, IndexedLabels="false")
    await seg.post_blocks(LOW, cells((16, 16, 16)))
    for path in ("merge", "cleave/1", "renumber", "split-supervoxel/1", "undo/1"):
        assert "IndexedLabels" in await seg.refused("POST", path, b"[1, 2]")


async def test_labels_that_are_in_use_are_not_handed_out_again(server: RunningServer, bodies: Bodies) -> None:
    await bodies.merge(1, 2, 3)
    await bodies.renumber(25, 4)
    await bodies.split(3, options="?split=21&remain=23")
    await server.post(f"{bodies.seg.place}/mappings", mapping_ops((22, [22])))
    await server.post(f"{bodies.seg.place}/set-nextlabel/2", admin=True)
    assert (await bodies.cleave(1, 2))[0] == 13
    await server.post(f"{bodies.seg.place}/set-nextlabel/19", admin=True)
    assert (await bodies.cleave(1, 21))[0] == 20
    assert await bodies.split(5) == (24, 26)
    await bodies.check()


# -- versions


async def test_edits_of_sibling_versions_do_not_meet(server: RunningServer, bodies: Bodies) -> None:
    await bodies.merge(1, 2, 3)
    await server.commit(bodies.seg.uuid)
    left = bodies.at(bodies.seg.at(await server.newversion(bodies.seg.uuid)))
    right = bodies.at(bodies.seg.at(await server.branch(bodies.seg.uuid, "side")))
    await left.merge(1, 4)
    new, _ = await right.cleave(1, 2)
    await left.split(2)
    await right.renumber(1000, 1)
    await right.merge(new, 4)
    await left.cleave(1, 1)
    for version in (bodies, left, right):
        await version.check()
    await server.commit(left.seg.uuid)
    below = left.at(left.seg.at(await server.newversion(left.seg.uuid)))
    await below.renumber(2, 5)
    await below.check()
    await left.check()


async def test_a_committed_version_is_edited_by_the_admin_alone(server: RunningServer, bodies: Bodies) -> None:
    await server.commit(bodies.seg.uuid)
    for path, body in (("merge", b"[1,2]"), ("cleave/1", b"[1]"), ("renumber", b"[50,1]"), ("undo/1", b"")):
        assert "committed" in await bodies.seg.refused("POST", path, body)
    await bodies.check()
    await server.post(f"{bodies.seg.place}/merge", b"[1,2]", admin=True)
    bodies.body_of[2] = 1
    await bodies.check()


async def test_a_merge_of_versions_has_the_edits_of_both_parents(server: RunningServer, bodies: Bodies) -> None:
    await server.commit(bodies.seg.uuid)
    left = bodies.at(bodies.seg.at(await server.newversion(bodies.seg.uuid)))
    right = bodies.at(bodies.seg.at(await server.branch(bodies.seg.uuid, "side")))
    await left.merge(1, 2)
    await right.merge(3, 4)
    split, remain = await right.split(3)
    new, _ = await left.cleave(1, 2)
    mask = right.voxels == split
    for version in (left, right):
        await server.commit(version.seg.uuid)
    both = left.at(left.seg.at(await server.merge(left.seg.uuid, right.seg.uuid)))
    both.cut(3, mask, split, remain)
    both.body_of.update({4: 3, split: 3, remain: 3})
    await both.check()
    await both.merge(new, 3)
    await both.cleave(new, 4)
    await both.renumber(700, 1)
    await both.check()


async def test_an_edit_of_what_both_parents_changed_is_refused(server: RunningServer, bodies: Bodies) -> None:
    await server.commit(bodies.seg.uuid)
    sides = [bodies.seg.at(await server.branch(bodies.seg.uuid, name)) for name in "ab"]
    for side, merged in zip(sides, (2, 3)):
        await server.post(f"{side.place}/merge", b"[1,%d]" % merged)
        await server.commit(side.uuid)
    both = bodies.seg.at(await server.merge(sides[0].uuid, sides[1].uuid))
    for path, body in (("merge", b"[1,4]"), ("merge", b"[4,1]"), ("cleave/1", b"[1]"), ("renumber", b"[60,1]")):
        answer = await both.ask("POST", path, body)
        assert answer.status == 409, answer.text
        assert sides[0].uuid in answer.text
    await server.post(f"{both.place}/merge", b"[5,6]")
    assert sorted(await server.get(f"{both.place}/supervoxels/5")) == [5, 6]


async def test_an_unversioned_instance_is_edited_from_any_version(server: RunningServer) -> None:
    seg = await new_segmentation(server, Versioned="false")
    voxels = cells((32, 32, 32), count=6)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    await server.commit(seg.uuid)
    child = await server.newversion(seg.uuid)
    below = Bodies(seg.at(child), voxels)
    await below.merge(1, 2, 3)
    await below.split(2)
    new, _ = await below.cleave(1, 3)
    await below.check()
    bodies.voxels, bodies.body_of, bodies.retired = below.voxels, below.body_of, below.retired
    await bodies.check()
    assert len(await server.get(f"{seg.place}/lineage/{new}")) == 3
    await below.post(f"undo/{new}")
    below.body_of[3] = 1
    await below.check()


# -- restarts


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_every_edit_survives_a_restart(server: RunningServer, bodies: Bodies) -> None:
    await bodies.merge(1, 2, 3)
    await server.restart()
    await bodies.check()
    await bodies.cleave(1, 2)
    await server.restart()
    await bodies.renumber(50, 1)
    await server.restart()
    await bodies.check()
    await bodies.split(3)
    await server.restart()
    await bodies.check()
    shape: Any = bodies.voxels.shape
    before = await everything(bodies.seg, shape)
    instance: Any = server.server.repos.find(bodies.seg.uuid)[0].instance("seg")
    await instance.save_snapshot()
    await server.restart()
    assert await everything(bodies.seg, shape) == before


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_lower_scales_of_a_split_that_was_cut_short_are_computed_at_the_next_start(
    server: RunningServer, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance: Any = server.server.repos.find(bodies.seg.uuid)[0].instance("seg")

    async def cut(*args: Any) -> None:
        raise RuntimeError("the server stops here")

    with monkeypatch.context() as patch:
        patch.setattr(instance, "compute_scales", cut)
        answer = await bodies.seg.ask("POST", "split-supervoxel/1?split=20&remain=21", bodies.part(1))
        assert answer.status == 500
    bodies.cut(1, bodies.mask(1), 20, 21)
    await bodies.check(scales=False)
    await server.restart()
    await bodies.check()


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_split_that_is_too_large_for_one_commit_is_published_by_one(
    server: RunningServer, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "DIRECT", 1 << 14)
    monkeypatch.setattr(rewriting, "BYTES", 1 << 14)
    await bodies.split(1)
    await bodies.check()
    instance: Any = server.server.repos.find(bodies.seg.uuid)[0].instance("seg")

    async def cut(*args: Any) -> None:
        raise RuntimeError("the server stops here")

    with monkeypatch.context() as patch:
        patch.setattr(instance.moves, "move", cut)
        answer = await bodies.seg.ask("POST", "split-supervoxel/2?split=20&remain=21", bodies.part(2))
        assert answer.status == 500
        bodies.cut(2, bodies.mask(2), 20, 21)
        await bodies.check(scales=False)
    await server.restart()
    await bodies.check()
    # A refused one leaves nothing behind.
    other = bodies.mask(3)
    other[tuple(np.argwhere(bodies.voxels == 4)[-1])] = True
    shape: Any = bodies.voxels.shape
    before = await everything(bodies.seg, shape)
    await bodies.seg.refused("POST", "split-supervoxel/3", sparse_volume(runs_of(other, bodies.low)))
    assert await everything(bodies.seg, shape) == before


# -- records


async def test_records_tell_each_edit_and_who_made_it(server: RunningServer, bodies: Bodies) -> None:
    place = bodies.seg.place
    await server.post(f"{place}/merge?u=ann&app=tool", b"[1,2,2,3]")
    await server.post(f"{place}/cleave/1?u=bob", b"[3, 2]")
    await server.post(f"{place}/renumber", b"[50,1,1,4]")
    volume = bodies.part(5)
    await server.post(f"{place}/split-supervoxel/5", volume)
    merged, cleaved, first, second, split = await server.get(f"{place}/mutations")
    assert (merged["Action"], merged["Target"], merged["Labels"]) == ("merge-complete", 1, [2, 3])
    assert (merged["User"], merged["App"], merged["UUID"]) == ("ann", "tool", bodies.seg.uuid)
    assert (cleaved["Action"], cleaved["OrigLabel"], cleaved["CleavedLabel"]) == ("cleave-complete", 1, 13)
    assert cleaved["CleavedSupervoxels"] == [3, 2]
    assert (cleaved["CleavedSize"], cleaved["RemainSize"]) == (bodies.size(2, 3), bodies.size(1))
    assert "App" not in cleaved
    assert [(r["Action"], r["OrigLabel"], r["NewLabel"]) for r in (first, second)] == [
        ("renumber-complete", 1, 50), ("renumber-complete", 4, 1),
    ]  # fmt: skip
    third = int(bodies.mask(5).sum())
    assert (split["Action"], split["Body"], split["Supervoxel"]) == ("split-supervoxel-complete", 5, 5)
    assert (split["SplitSize"], split["RemainSize"]) == (third, bodies.size(5) - third)
    assert await server.get(f"{place}/blobstore/{split['Split']}") == volume[12:]
    ids = [r["MutationID"] for r in (merged, cleaved, first, split)]
    assert ids == sorted(set(ids))
    mod = await server.get(f"{place}/lastmod/13")
    assert (mod["mutation id"], mod["last mod user"], mod["last mod app"]) == (ids[1], "bob", "")


async def test_a_cleave_of_very_many_supervoxels_is_told_by_a_blob(server: RunningServer, seg: Segmentation) -> None:
    count = 120_000
    voxels = np.arange(1, count + 1, dtype=np.uint64)
    block = np.resize(voxels, (32, 64, 64))
    place = seg.place
    await server.post(f"{place}/mappings", mapping_ops((1, list(range(2, count + 1)))))
    await seg.post_blocks((0, 0, 0), block)
    done = await server.post(f"{place}/cleave/1", str(list(range(2, count))).encode())
    record = (await server.get(f"{place}/mutations"))[-1]
    assert "CleavedSupervoxels" not in record
    whole = json.loads(await server.get(f"{place}/blobstore/{record['DataRef']}"))
    assert whole["CleavedSupervoxels"] == list(range(2, count))
    assert await server.get(f"{place}/supervoxels/1") == [1, count]
    assert len(await server.get(f"{place}/supervoxels/{done['CleavedLabel']}")) == count - 2
    assert await server.demand("GET", f"{place}/mapping", json=[1, 2, count]) == [1, done["CleavedLabel"], 1]
    await server.post(f"{place}/undo/1", b"")
    assert await seg.labels() == [1]
    if server.config.stores["default"].engine == "rocksdb":
        await server.restart()
    assert await server.demand("GET", f"{place}/mapping", json=[1, 2, count]) == [1, 1, 1]
    assert "one request can merge" in await seg.refused("POST", "merge", str(list(range(1, 30_000))).encode())


# -- body split


async def test_a_body_split_is_only_there_when_the_server_allows_it(server: RunningServer) -> None:
    seg = await new_segmentation(server)
    voxels = cells((32, 32, 32), count=6)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    bodies = Bodies(seg, voxels)
    assert "allowLabelmapSplit" in await seg.refused("POST", "split/1", bodies.part(1))


async def test_a_body_split_cuts_the_supervoxels_that_it_meets(server: RunningServer, bodies: Bodies) -> None:
    if server.config.stores["default"].engine == "memory":
        server.server.config = _allowing(server.server.config)
    else:
        await server.restart(allow_labelmap_split=True)
    await bodies.merge(1, 2, 3)
    mask = bodies.mask(1) | bodies.mask(2, 5) | (bodies.voxels == 3)
    shape: Any = bodies.voxels.shape
    before = await everything(bodies.seg, shape)
    wrong = mask.copy()
    wrong[tuple(np.argwhere(bodies.voxels == 4)[0])] = True
    for bad in (wrong, np.isin(bodies.voxels, [1, 2, 3])):
        await bodies.seg.refused("POST", "split/1", sparse_volume(runs_of(bad, bodies.low)))
    for label in (2, 4, 99, 0):
        await bodies.seg.refused("POST", f"split/{label}", sparse_volume(runs_of(mask, bodies.low)))
    await bodies.seg.refused("POST", "split/1", sparse_volume(runs_of(mask, bodies.low) * 2))
    assert await everything(bodies.seg, shape) == before
    done = await bodies.post("split/1", sparse_volume(runs_of(mask, bodies.low)))
    [record] = (await server.get(f"{bodies.seg.place}/mutations"))[1:]
    assert (record["Action"], record["Target"], record["NewLabel"]) == ("split-complete", 1, done["label"])
    parts = {int(s): (v["Split"], v["Remain"]) for s, v in record["SVSplits"].items()}
    assert sorted(parts) == [1, 2, 3]
    for supervoxel, (split, remain) in parts.items():
        bodies.cut(supervoxel, mask, split, remain)
        bodies.body_of[split] = done["label"]
    bodies.body_of = {s: b for s, b in bodies.body_of.items() if (bodies.voxels == s).any()}
    bodies.retired.add(done["label"])
    await bodies.check()
    undone = await bodies.post(f"undo/{done['label']}")
    assert undone["Undone"] == done["MutationID"]
    again = await everything(bodies.seg, shape)
    assert (again[0], again[1], again[6]) == (before[0], before[1], before[6])
    assert again[4] == before[4]


def _allowing(config: Any) -> Any:
    return replace(config, server=replace(config.server, allow_labelmap_split=True))
