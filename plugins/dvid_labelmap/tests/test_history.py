"""Undo, lineage, history, and bodies of the past."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer

from .conformance.body_decoders import json_values
from .proofreading import LOW, Bodies, everything
from .segmentation import Segmentation, Triple, cells

SMALL: Triple = (32, 48, 64)
LARGE: Triple = (96, 96, 112)


@pytest_asyncio.fixture(params=[SMALL, LARGE], ids=["small", "large"])
async def bodies(seg: Segmentation, request: pytest.FixtureRequest) -> Bodies:
    """Twelve supervoxels, 1 to 12."""
    voxels = cells(request.param, count=12)
    await seg.post_blocks(LOW, voxels, "?downres=true")
    return Bodies(seg, voxels)


async def undo(bodies: Bodies, label: int) -> dict[str, Any]:
    """Undo the last edit of a body."""
    done: dict[str, Any] = await bodies.post(f"undo/{label}")
    return done


# -- undo


async def test_each_edit_can_be_undone_back_to_the_first(bodies: Bodies) -> None:
    states = [bodies.at(bodies.seg)]
    merged = await bodies.merge(1, 2, 3)
    states.append(bodies.at(bodies.seg))
    new, cleaved = await bodies.cleave(1, 2)
    states.append(bodies.at(bodies.seg))
    await bodies.renumber(50, 1)
    states.append(bodies.at(bodies.seg))
    await bodies.split(3)
    states.append(bodies.at(bodies.seg))
    kinds = []
    for label in (50, 50, 1, 1):
        states.pop()
        done = await undo(bodies, label)
        kinds.append(done["Action"])
        await states[-1].check()
    assert kinds == ["split-supervoxel", "renumber", "cleave", "merge"]
    assert done["Undone"] == merged < cleaved < done["MutationID"]
    assert await bodies.seg.api.get(f"{bodies.seg.place}/supervoxel-splits") == []
    await bodies.seg.refused("POST", "undo/1")
    # All goes on from there.
    last = states[-1]
    last.retired |= {new, 50}
    await last.merge(2, 1, 3)
    await last.split(1)
    await last.check()


async def test_an_undone_edit_is_an_edit_of_its_own(server: RunningServer, bodies: Bodies) -> None:
    first = await bodies.merge(1, 2, 3)
    done = await server.post(f"{bodies.seg.place}/undo/3?u=ann", b"")
    records = (await server.get(f"{bodies.seg.place}/mutations"))[1:]
    told = [(r["Action"], r["OrigLabel"], r["CleavedLabel"], r["Undone"], r["User"]) for r in records]
    assert told == [("cleave-complete", 1, 3, first, "ann"), ("cleave-complete", 1, 2, first, "ann")]
    assert {r["MutationID"] for r in records} == {done["MutationID"]}
    mod = await server.get(f"{bodies.seg.place}/lastmod/2")
    assert (mod["mutation id"], mod["last mod user"]) == (done["MutationID"], "ann")


async def test_a_renumbering_is_undone_as_a_whole(bodies: Bodies) -> None:
    await bodies.merge(1, 2)
    before = bodies.at(bodies.seg)
    await bodies.renumber(100, 1, 1, 3, 3, 100)
    await bodies.check()
    await undo(bodies, 3)
    await before.check()


async def test_an_edit_is_not_undone_when_what_it_changed_was_changed_again(bodies: Bodies) -> None:
    await bodies.merge(1, 2, 3)
    await bodies.merge(4, 5)
    shape: Any = bodies.voxels.shape

    async def refused(label: int) -> None:
        before = await everything(bodies.seg, shape)
        assert "cannot be undone" in await bodies.seg.refused("POST", f"undo/{label}")
        assert await everything(bodies.seg, shape) == before

    new, _ = await bodies.cleave(1, 3)
    await bodies.merge(4, new)
    # The cleaved body is part of another one now, and the name of one that was merged is taken.
    await refused(1)
    await bodies.renumber(5, 6)
    await undo(bodies, 4)
    bodies.body_of[3] = new
    await refused(4)
    await undo(bodies, 1)
    bodies.body_of[3] = 1
    await bodies.check()


async def test_a_split_is_not_undone_when_its_parts_were_written(bodies: Bodies) -> None:
    split, _ = await bodies.split(1)
    bodies.voxels[:16, :16, :16] = split
    await bodies.seg.put(bodies.low, bodies.voxels[:16, :16, :16])
    assert "cannot be undone" in await bodies.seg.refused("POST", "undo/1")
    await bodies.check(scales=False)


async def test_what_an_ancestor_did_is_undone_in_the_version_that_asks(server: RunningServer, bodies: Bodies) -> None:
    before = bodies.at(bodies.seg)
    await bodies.merge(1, 2, 3)
    await bodies.split(4)
    await server.commit(bodies.seg.uuid)
    child = before.at(bodies.seg.at(await server.newversion(bodies.seg.uuid)))
    other = bodies.at(bodies.seg.at(await server.branch(bodies.seg.uuid, "side")))
    await undo(child, 1)
    await undo(child, 4)
    await child.check()
    await bodies.check()
    await other.check()
    assert await server.get(f"{child.seg.place}/supervoxel-splits") == []
    assert len(await server.get(f"{other.seg.place}/supervoxel-splits")) == 2
    await server.restart() if server.config.stores["default"].engine == "rocksdb" else None
    await undo(other, 1)
    for s in (2, 3):
        other.body_of[s] = s
    await other.check()


# -- bodies of the past


async def test_a_body_is_read_as_it_was_before_an_edit(server: RunningServer, bodies: Bodies) -> None:
    seg, place = bodies.seg, bodies.seg.place
    indices = {n: await seg.index(n) for n in (1, 2, 3, 4)}
    first = await bodies.merge(1, 2, 3)
    merged = await seg.index(1)
    new, second = await bodies.cleave(1, 2)
    third = await bodies.merge(4, 1)
    for label in (1, 2, 3):
        assert await _index_at(seg, label, first) == indices[label]
        assert await _index_at(seg, label, first - 1) is None
    assert await _index_at(seg, 2, third) == indices[2]
    assert await _index_at(seg, 1, second) == merged
    assert await _index_at(seg, 4, third + 1000) == indices[4]
    assert await _index_at(seg, new, third) is None
    assert await _index_at(seg, 5, third) is None
    whole = {"voxels": bodies.size(1, 2, 3)}
    assert await server.get(f"{place}/size/1?mutid={second}") == whole
    assert await server.get(f"{place}/supervoxels/1?mutid={second}") == [1, 2, 3]
    sizes = await server.get(f"{place}/supervoxel-sizes/1?mutid={third}")
    assert sizes == {"supervoxels": [1, 3], "sizes": [bodies.size(1), bodies.size(3)]}
    assert (await server.get(f"{place}/lastmod/1?mutid={third}"))["mutation id"] == second
    for bad in ("x", "-1", "1.5", "9" * 40):
        await seg.refused("GET", f"index/1?mutid={bad}")


async def _index_at(seg: Segmentation, label: int, mutation: int) -> Any:
    if (await seg.ask("GET", f"index/{label}?mutid={mutation}")).status == 404:
        return None
    return await seg.index(label, f"?mutid={mutation}")


async def test_splits_and_restarts_leave_the_past_readable(server: RunningServer, bodies: Bodies) -> None:
    seg = bodies.seg
    first = await bodies.merge(1, 2)
    merged = await seg.index(1)
    split, _ = await bodies.split(2)
    if server.config.stores["default"].engine == "rocksdb":
        await server.restart()
    assert await _index_at(seg, 1, first + 100) == merged
    await undo(bodies, 1)
    assert await seg.index(1) == merged
    assert split not in await server.get(f"{seg.place}/supervoxels/1")


async def test_the_past_of_a_body_whose_voxels_were_written_over_is_right_or_refused(bodies: Bodies) -> None:
    seg = bodies.seg
    before = await seg.index(1)
    first = await bodies.merge(1, 2)
    bodies.voxels[:16, :16, :16] = 2
    await seg.put(bodies.low, bodies.voxels[:16, :16, :16])
    answer = await seg.ask("GET", f"index/1?mutid={first}")
    if bodies.voxels.shape == SMALL:
        assert await _index_at(seg, 1, first) == before
    else:
        assert answer.status == 400
        assert "written over" in answer.text
    await bodies.check(scales=False)


# -- lineage


async def lineage(seg: Segmentation, label: int) -> list[tuple[Any, ...]]:
    """What lineage tells, shortened."""
    out = []
    for r in await seg.api.get(f"{seg.place}/lineage/{label}"):
        kind = r["Action"].split("-")[0]
        names = {"merge": ("Target", "Labels"), "cleave": ("OrigLabel", "CleavedLabel"),
                 "renumber": ("OrigLabel", "NewLabel"), "split": ("Supervoxel", "SplitSupervoxel")}[kind]  # fmt: skip
        assert r["UUID"] and r["Timestamp"]
        out.append((kind, *(r[n] for n in names)))
    return out


async def test_a_lineage_follows_names_to_where_a_body_came_from(server: RunningServer, bodies: Bodies) -> None:
    seg = bodies.seg
    await bodies.merge(3, 4)
    await bodies.merge(1, 2)
    await bodies.cleave(1, 2)
    await bodies.renumber(100, 13)
    await bodies.renumber(13, 3)
    await bodies.merge(6, 7)
    await bodies.merge(100, 13)
    await server.commit(seg.uuid)
    child = seg.at(await server.newversion(seg.uuid))
    await server.post(f"{child.place}/renumber", b"[200, 100]")
    wanted = [
        ("renumber", 100, 200), ("merge", 100, [13]), ("renumber", 3, 13), ("renumber", 13, 100), ("cleave", 1, 13),
        ("merge", 1, [2]), ("merge", 3, [4]),
    ]  # fmt: skip
    assert await lineage(child, 200) == wanted
    # At the parent version the last edit is not there; a name that is gone begins with its end.
    assert await lineage(seg, 200) == []
    assert await lineage(seg, 100) == wanted[1:]
    assert await lineage(child, 7) == [("merge", 6, [7])]
    assert await lineage(child, 13) == [wanted[1], wanted[2], wanted[6]]
    assert await lineage(child, 12) == []
    await seg.refused("GET", "lineage/0")


# -- history


async def history(seg: Segmentation, label: int, first: str, last: str) -> list[Any]:
    """The reply as a list."""
    answer = await seg.ask("GET", f"history/{label}/{first}/{last}")
    assert answer.status == 200, answer.text
    found: list[Any] = json_values(answer.body)
    return found


async def test_history_tells_the_edits_between_two_versions(server: RunningServer, bodies: Bodies) -> None:
    seg = bodies.seg
    await bodies.merge(1, 2, 3)
    await server.commit(seg.uuid)
    child = bodies.at(seg.at(await server.newversion(seg.uuid)))
    side = bodies.at(seg.at(await server.branch(seg.uuid, "side")))
    await child.cleave(1, 2)
    split, remain = await child.split(3)
    await child.renumber(50, 1)
    await side.merge(1, 9)
    merge = {"Action": "merge", "Target": 1, "Labels": [2, 3]}
    cleave = {"Action": "cleave", "OrigLabel": 1, "CleavedLabel": 13, "CleavedSupervoxels": [2]}
    cut = {"Action": "split-supervoxel", "Supervoxel": 3, "SplitSupervoxel": split, "RemainSupervoxel": remain}
    assert await history(child.seg, 50, seg.uuid, child.seg.uuid) == [merge, cleave, cut]
    assert await history(child.seg, 13, seg.uuid[:9], child.seg.uuid[:9]) == [merge, cleave]
    assert await history(child.seg, 50, seg.uuid, seg.uuid) == []
    assert await history(side.seg, 1, side.seg.uuid, side.seg.uuid) == [
        {"Action": "merge", "Target": 1, "Labels": [9]},
    ]
    assert await history(seg, 1, seg.uuid, seg.uuid) == [merge]
    other = await server.repo()
    for bad in (f"0/{seg.uuid}/{seg.uuid}", f"1/{seg.uuid}", "1", "", f"1/{seg.uuid}/zz", f"1/{seg.uuid}/{other}",
                f"-1/{seg.uuid}/{seg.uuid}"):  # fmt: skip
        await seg.refused("GET", f"history/{bad}")


async def test_history_of_a_body_of_thousands_of_supervoxels(server: RunningServer, seg: Segmentation) -> None:
    voxels = np.arange(1, 16**3 + 1, dtype=np.uint64).reshape(16, 16, 16)
    await seg.put((0, 0, 0), voxels)
    await server.commit(seg.uuid)
    child = seg.at(await server.newversion(seg.uuid))
    await server.post(f"{child.place}/merge", str(list(range(1, 16**3 + 1))).encode())
    await server.post(f"{child.place}/cleave/1", str(list(range(2, 5000 - 1500))).encode())
    assert [e["Action"] for e in await history(child, 1, seg.uuid, child.uuid)] == ["merge", "cleave"]
    done = await server.post(f"{child.place}/undo/1", b"")
    assert done["Action"] == "cleave"
    done = await server.post(f"{child.place}/undo/1", b"")
    assert done["Action"] == "merge"
    assert len(await child.labels()) == 16**3
    assert await server.get(f"{child.place}/supervoxels/77") == [77]
