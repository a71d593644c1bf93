"""Versions: loaded, committed, branched, changed on the branch, read at both."""

from __future__ import annotations

import asyncio

import numpy as np

from dvid_core.testing.fixtures import RunningServer

from .images import Images, new_images, noise, picture


async def test_a_branch_changes_nothing_of_its_parent(server: RunningServer) -> None:
    images = await new_images(server, block="32,32,32", VoxelSize="4.6,4.6,47.5")
    voxels = noise((20, 128, 96))
    await images.put((0, 0, 0), voxels, "?unaligned=true")
    await server.commit(images.uuid)
    branch = images.at(await server.branch(images.uuid, "repair"))
    changed = voxels.copy()
    changed[5:15, 30:100, 20:70] = noise((10, 70, 50), seed=1)
    await branch.put((5, 30, 20), changed[5:15, 30:100, 20:70], "?unaligned=true")
    for seen, wanted in ((images, voxels), (branch, changed)):
        assert (await seen.get((0, 0, 0), (20, 128, 96)) == wanted).all()
        for plane, size, offset, cut in (
            ("xy", "96_128", "0_0_9", wanted[9]),
            ("xz", "96_20", "0_40_0", wanted[:, 40]),
            ("yz", "128_20", "30_0_0", wanted[:, :, 30]),
        ):
            answer = await seen.ask("GET", f"raw/{plane}/{size}/{offset}")
            assert (picture(answer.body) == cut).all()
        assert await seen.extents() == ((0, 0, 0), (19, 127, 95))


async def test_a_committed_version_takes_no_writes(gray: Images, server: RunningServer) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 16)))
    await server.commit(gray.uuid)
    for path, body in (
        ("raw/0_1_2/16_8_4/0_0_0", bytes(512)),
        ("blocks/0_0_0/1", bytes(512)),
        ("resolution", b"[1,1,1]"),
        ("extents", b'{"MinPoint":[0,0,0],"MaxPoint":[9,9,9]}'),
    ):
        assert "committed" in await gray.refused("POST", path, body)
    assert (await gray.get((0, 0, 0), (4, 8, 16)) == noise((4, 8, 16))).all()
    assert await gray.extents() == ((0, 0, 0), (3, 7, 15))


async def test_extents_belong_to_the_version_and_resolution_to_the_instance(
    gray: Images, server: RunningServer
) -> None:
    await gray.put((0, 0, 0), noise((4, 8, 16)))
    await server.commit(gray.uuid)
    child = gray.at(await server.newversion(gray.uuid))
    side = gray.at(await server.branch(gray.uuid, "side"))
    assert await child.extents() == ((0, 0, 0), (3, 7, 15))
    await child.put((4, 8, 32), noise((4, 8, 16)))
    await side.put((-4, 0, 0), noise((4, 8, 16)))
    assert await gray.extents() == ((0, 0, 0), (3, 7, 15))
    assert await child.extents() == ((0, 0, 0), (7, 15, 47))
    assert await side.extents() == ((-4, 0, 0), (3, 7, 15))
    await server.post(f"{child.place}/resolution", b"[1, 2, 3.5]")
    assert (await server.get(f"{side.place}/info"))["Extended"]["VoxelSize"] == [1, 2, 3.5]


async def test_a_merge_has_the_blocks_and_the_extents_of_both(gray: Images, server: RunningServer) -> None:
    await server.commit(gray.uuid)
    sides = []
    for name, low in (("left", (0, 0, -16)), ("right", (0, 8, 16))):
        side = gray.at(await server.branch(gray.uuid, name))
        await side.put(low, noise((4, 8, 16), seed=low[2]) if low[2] > 0 else noise((4, 8, 16)))
        await server.commit(side.uuid)
        sides.append(side)
    merged = gray.at(await server.merge(*(s.uuid for s in sides)))
    assert await merged.extents() == ((0, 0, -16), (3, 15, 31))
    assert (await merged.get((0, 0, -16), (4, 8, 16)) == noise((4, 8, 16))).all()
    assert (await merged.get((0, 8, 16), (4, 8, 16)) == noise((4, 8, 16), seed=16)).all()
    await merged.put((4, 0, 0), noise((4, 8, 16)))
    assert await merged.extents() == ((0, 0, -16), (7, 15, 31))


async def test_what_both_sides_of_a_merge_wrote_is_refused_until_it_is_written_again(
    gray: Images, server: RunningServer
) -> None:
    await server.commit(gray.uuid)
    sides = []
    for seed, name in enumerate(("left", "right")):
        side = gray.at(await server.branch(gray.uuid, name))
        await side.put((0, 0, 0), noise((4, 8, 32), seed=seed))
        await server.commit(side.uuid)
        sides.append(side)
    merged = gray.at(await server.merge(*(s.uuid for s in sides)))
    assert "conflict" in await merged.refused("GET", "raw/0_1_2/4_4_4/0_0_0", status=409)
    await merged.put((0, 0, 0), noise((4, 8, 32), seed=9))
    assert (await merged.get((0, 0, 0), (4, 8, 32)) == noise((4, 8, 32), seed=9)).all()


async def test_an_unversioned_instance_is_one_for_all_versions(server: RunningServer) -> None:
    images = await new_images(server, Versioned="false")
    await images.put((0, 0, 0), noise((4, 8, 16)))
    await server.commit(images.uuid)
    child = images.at(await server.newversion(images.uuid))
    await child.put((0, 0, 16), noise((4, 8, 16), seed=1))
    await images.put((0, 0, 0), noise((4, 8, 16), seed=2))
    for seen in (images, child):
        both = await seen.get((0, 0, 0), (4, 8, 32))
        assert (both[:, :, :16] == noise((4, 8, 16), seed=2)).all()
        assert (both[:, :, 16:] == noise((4, 8, 16), seed=1)).all()
        assert await seen.extents() == ((0, 0, 0), (3, 7, 31))


async def test_many_versions_are_seen_through(gray: Images, server: RunningServer) -> None:
    """More versions than are asked for one by one."""
    wanted = np.zeros((4, 8, 16 * 12), np.uint8)
    seen = gray
    for n in range(12):
        voxels = noise((4, 8, 16 * (12 - n)), seed=n)
        wanted[:, :, : voxels.shape[2]] = voxels
        await seen.put((0, 0, 0), voxels)
        await server.commit(seen.uuid)
        seen = gray.at(await server.newversion(seen.uuid))
    assert (await seen.get((0, 0, 0), (4, 8, 16 * 12)) == wanted).all()
    assert (await gray.get((0, 0, 0), (4, 8, 16 * 12)) == noise((4, 8, 16 * 12), seed=0)).all()


async def test_extents_hold_everything_that_was_written_at_once(gray: Images) -> None:
    lows = [(z, y, x) for z in (-4, 0, 8) for y in (-8, 16) for x in (-32, 0, 48)]
    await asyncio.gather(*(gray.put(low, noise((4, 8, 16))) for low in lows))
    assert await gray.extents() == ((-4, -8, -32), (11, 23, 63))
