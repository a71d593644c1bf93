"""Versions with several parents: what one side changed, what both changed, and how it is settled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from .segmentation import SIDE, Array, Segmentation, cells, frames, halved, label_index, mapping_ops

SIZE = (32, 32, 32)
BLOCK = (SIDE, SIDE, SIDE)


async def parted(seg: Segmentation, voxels: Array) -> tuple[Segmentation, Segmentation]:
    """Two open versions of a committed one that holds `voxels`."""
    await seg.put((0, 0, 0), voxels)
    await seg.api.commit(seg.uuid)
    return seg.at(await seg.api.newversion(seg.uuid)), seg.at(await seg.api.branch(seg.uuid, "other"))


async def merged(*sides: Segmentation) -> Segmentation:
    """Their open child."""
    for side in sides:
        await side.api.commit(side.uuid)
    return sides[0].at(await sides[0].api.merge(*(side.uuid for side in sides)))


def full(label: int) -> Array:
    return np.full(BLOCK, label, np.uint64)


@pytest.fixture
def voxels() -> Array:
    """Eight blocks, of labels 1 to 12."""
    return cells(SIZE)


async def test_what_one_side_changed_is_the_merge(seg: Segmentation, voxels: Array) -> None:
    left, right = await parted(seg, voxels)
    await left.put((0, 0, 0), full(101))
    await right.put((16, 16, 16), full(102))
    await left.ask("POST", "mappings", mapping_ops((201, [101])))
    await right.ask("POST", "mappings", mapping_ops((202, [102]), (12, [11])))
    both = await merged(left, right)
    wanted = voxels.copy()
    wanted[:16, :16, :16], wanted[16:, 16:, 16:] = 101, 102
    assert (await both.get((0, 0, 0), SIZE, "?supervoxels=true") == wanted).all()
    mapped = wanted.copy()
    for supervoxel, body in ((101, 201), (102, 202), (11, 12)):
        mapped[wanted == supervoxel] = body
    assert (await both.get((0, 0, 0), SIZE) == mapped).all()
    assert (await both.ask("GET", "label/1_1_1")).json() == {"Label": 201}
    assert (await both.ask("GET", "label/20_20_20")).json() == {"Label": 202}
    assert (await both.ask("GET", "size/101")).json() == {"voxels": SIDE**3}
    assert (await both.ask("GET", "info")).json()["Extended"]["MaxPoint"] == [31, 31, 31]


async def test_a_block_that_both_changed_is_an_error_alone_and_the_first_parents_among_many(
    seg: Segmentation, voxels: Array
) -> None:
    left, right = await parted(seg, voxels)
    await left.put((0, 0, 0), full(101))
    await right.put((0, 0, 0), full(102))
    both = await merged(left, right)
    answer = await both.ask("GET", "label/1_1_1")
    assert answer.status == 409
    assert left.uuid in answer.text and right.uuid in answer.text
    assert (await both.ask("GET", "label/20_1_1")).json() == {"Label": int(voxels[1, 1, 20])}
    assert (await both.get((0, 0, 0), SIZE) == await left.get((0, 0, 0), SIZE)).all()
    assert (await both.ask("GET", "labels", b"[[1,1,1],[20,1,1]]")).json() == [101, int(voxels[1, 1, 20])]
    got = frames((await both.ask("GET", "blocks/32_32_32/0_0_0?compression=uncompressed")).body)
    assert np.frombuffer(got[0, 0, 0], "<u8").tolist() == [101] * SIDE**3
    named = frames((await both.ask("GET", "specificblocks?blocks=0,0,0,1,1,1&compression=uncompressed")).body)
    assert named[0, 0, 0] == got[0, 0, 0] and len(named) == 2
    coarse = await both.get((0, 0, 0), (16, 16, 16), "?scale=1")
    assert (coarse == await left.get((0, 0, 0), (16, 16, 16), "?scale=1")).all()
    # The order of the parents counts, not that of their creation.
    other = both.at(await both.api.merge(right.uuid, left.uuid))
    assert (await other.get((0, 0, 0), SIZE) == await right.get((0, 0, 0), SIZE)).all()


async def test_an_index_that_both_changed_is_an_error_alone_and_the_first_parents_among_many(
    seg: Segmentation, voxels: Array
) -> None:
    left, right = await parted(seg, voxels)
    await left.put((0, 0, 0), full(5))
    await right.put((16, 16, 16), full(5))
    both = await merged(left, right)
    for path in ("size/5", "supervoxels/5", "supervoxel-sizes/5", "lastmod/5", "index/5", "index-version/5"):
        assert (await both.ask("GET", path)).status == 409, path
    assert (await both.ask("GET", "size/5?supervoxels=true")).status == 409
    for path, body in (
        ("sizes", b"[5,1,99]"),
        ("sizes?supervoxels=true", b"[5,1,99]"),
        ("indices", b"[5]"),
        ("indices-compressed", b"[5]"),
        ("listlabels?start=5&number=1&sizes=true", None),
        ("mapping", b"[5]"),
    ):
        assert (await both.ask("GET", path, body)).content() == (await left.ask("GET", path, body)).content(), path
    assert 5 in await both.labels()


async def test_a_mapping_that_both_changed_is_an_error_alone_and_the_first_parents_among_many(
    seg: Segmentation, voxels: Array
) -> None:
    left, right = await parted(seg, voxels)
    names = voxels[0, 0, :][voxels[0, 0, :] > 0]
    supervoxel = int(names[0])
    x = int(np.flatnonzero(voxels[0, 0, :] == supervoxel)[0])
    await left.ask("POST", "mappings", mapping_ops((301, [supervoxel]), (303, [77])))
    await right.ask("POST", "mappings", mapping_ops((302, [supervoxel]), (303, [77])))
    both = await merged(left, right)
    answer = await both.ask("GET", f"label/{x}_0_0")
    assert answer.status == 409 and str(supervoxel) in answer.text and right.uuid in answer.text
    assert (await both.ask("GET", f"label/{x}_0_0?supervoxels=true")).json() == {"Label": supervoxel}
    assert (await both.ask("GET", f"size/{supervoxel}?supervoxels=true")).status == 409
    assert (await both.ask("GET", "labels", f"[[{x},0,0]]".encode())).json() == [301]
    assert (await both.ask("GET", "mapping", f"[{supervoxel},77]".encode())).json() == [301, 303]
    found = await conflicts(both)
    assert [c["supervoxel"] for c in found["supervoxels"]] == [supervoxel], "both agree about 77"
    await both.ask("POST", "mappings", mapping_ops((304, [supervoxel])))
    assert (await both.ask("GET", f"label/{x}_0_0")).json() == {"Label": 304}
    assert (await conflicts(both))["supervoxels"] == []


async def conflicts(seg: Segmentation) -> Any:
    return (await seg.ask("GET", "conflicts")).json()


async def test_conflicts_are_listed_and_a_write_settles_them(seg: Segmentation, voxels: Array) -> None:
    assert await conflicts(seg) == {"blocks": [], "indices": [], "supervoxels": []}
    left, right = await parted(seg, voxels)
    assert await conflicts(left) == {"blocks": [], "indices": [], "supervoxels": []}
    await left.put((0, 0, 0), full(101))
    await right.put((0, 0, 0), full(102))
    both = await merged(left, right)
    found = await conflicts(both)
    rivals = {left.uuid, right.uuid}
    assert {(c["scale"], *c["block"]) for c in found["blocks"]} == {(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)}
    assert all(set(c["versions"]) == rivals for kind in found.values() for c in kind)
    inside = np.unique(voxels[:16, :16, :16])
    assert [c["body"] for c in found["indices"]] == inside[inside > 0].tolist()
    await both.put((0, 0, 0), full(103))
    assert (await both.ask("GET", "label/1_1_1")).json() == {"Label": 103}
    found = await conflicts(both)
    assert found["blocks"] == []
    # Bodies of which a voxel was written are settled with what the first parent has; no other was disputed.
    settled = voxels.copy()
    settled[:16, :16, :16] = 103
    labels, counts = np.unique(settled, return_counts=True)
    for label, count in zip(labels.tolist(), counts.tolist()):
        if label:
            assert (await both.ask("GET", "sizes", json.dumps([label]).encode())).json() == [count]


async def test_a_write_goes_on_from_what_the_first_parent_has(seg: Segmentation, voxels: Array) -> None:
    left, right = await parted(seg, voxels)
    await left.put((0, 0, 0), full(5))
    await right.put((0, 0, 0), full(6))
    await right.put((16, 16, 16), full(5))
    both = await merged(left, right)
    await both.put((0, 0, 16), full(7))
    wanted = await left.get((0, 0, 0), SIZE)
    wanted = wanted.copy()
    wanted[16:, 16:, 16:] = 5
    wanted[:16, :16, 16:] = 7
    assert (await both.get((0, 0, 0), SIZE) == wanted).all()
    coarse = halved(wanted)
    assert (await both.get((0, 0, 0), coarse.shape, "?scale=1"))[:8, :8, 8:].tolist() == coarse[:8, :8, 8:].tolist()
    # 7 was counted where it is now, beside what the first parent has of it.
    first = (await left.ask("GET", "sizes", b"[7]")).json()[0]
    lost = int((voxels[:16, :16, 16:] == 7).sum())
    assert (await both.ask("GET", "size/7")).json() == {"voxels": first - lost + SIDE**3}


@pytest.mark.parametrize("way", ["index", "indices"])
async def test_an_index_is_settled_by_posting_it(seg: Segmentation, voxels: Array, way: str) -> None:
    left, right = await parted(seg, voxels)
    await left.put((0, 0, 0), full(5))
    await right.put((0, 0, 0), full(6))
    both = await merged(left, right)
    message = label_index(5, {(0, 0, 0): {5: 17}})
    if way == "index":
        assert (await both.ask("POST", "index/5", message)).status == 200
    else:
        assert (await both.ask("POST", "indices", b"\x0a" + bytes([len(message)]) + message)).status == 200
    assert (await both.ask("GET", "size/5")).json() == {"voxels": 17}
    assert await both.index(5) == {(0, 0, 0): {5: 17}}
    assert (await both.ask("GET", "size/6")).status == 409


async def test_a_large_index_that_both_changed_is_not_a_mixture(seg: Segmentation) -> None:
    # So many blocks that the index is cut into segments.
    wide = 400
    await seg.post_blocks((0, 0, 0), np.full((SIDE, SIDE, SIDE * wide), 9, np.uint64))
    await seg.api.commit(seg.uuid)
    left = seg.at(await seg.api.newversion(seg.uuid))
    right = seg.at(await seg.api.branch(seg.uuid, "other"))
    # The right side takes away all of a cell of 16 blocks, so that a segment is gone there.
    await right.post_blocks((0, 0, 16), np.full((SIDE, SIDE, 16 * SIDE), 8, np.uint64))
    await left.post_blocks((0, 0, 200), np.full(BLOCK, 7, np.uint64))
    both = await merged(left, right)
    assert (await both.ask("GET", "index/9")).status == 409
    mine = (await left.ask("GET", "indices", b"[9]")).body
    assert (await both.ask("GET", "indices", b"[9]")).body == mine and len(mine) > 1000
    # A write settles it with all that the first parent has.
    await both.post_blocks((0, 0, 300), np.full(BLOCK, 6, np.uint64))
    index = await both.index(9)
    assert set(index) == {(0, 0, x) for x in range(wide) if x not in (200, 300)}
    assert (await both.ask("GET", "size/9")).json() == {"voxels": (wide - 2) * SIDE**3}
    assert (await both.ask("GET", "size/6")).json() == {"voxels": SIDE**3}


async def test_a_body_whose_segments_another_side_changed_is_as_its_own_side_has_it(seg: Segmentation) -> None:
    wide = 400
    await seg.post_blocks((0, 0, 0), np.full((SIDE, SIDE, SIDE * wide), 9, np.uint64))
    await seg.post_blocks((0, 3, 0), full(5))
    await seg.api.commit(seg.uuid)
    left = seg.at(await seg.api.newversion(seg.uuid))
    right = seg.at(await seg.api.branch(seg.uuid, "other"))
    # 5 takes over the segments of 9, of which the other side loses one.
    assert (await left.ask("POST", "merge", b"[5,9]")).status == 200
    await right.post_blocks((0, 0, 16), np.full((SIDE, SIDE, 16 * SIDE), 8, np.uint64))
    both = await merged(left, right)
    for path in (
        "index/5",
        "size/5",
        "sparsevol-size/5",
        "sparsevol-coarse/5",
        "supervoxel-sizes/5",
        "index-version/5",
    ):
        assert (await both.ask("GET", path)).content() == (await left.ask("GET", path)).content(), path
    for path in ("index/9", "size/9", "sparsevol-size/9", "index-version/9"):
        assert (await both.ask("GET", path)).content() == (await right.ask("GET", path)).content(), path
    assert (await both.ask("GET", "indices", b"[5]")).body == (await left.ask("GET", "indices", b"[5]")).body
    # A write goes on from all of it.
    await both.post_blocks((0, 0, 300), full(6))
    assert set(await both.index(5)) == {(0, 3, 0)} | {(0, 0, x) for x in range(wide) if x != 300}
