"""Reads and writes behind an ROI."""

from __future__ import annotations

import numpy as np
import pytest_asyncio

from dvid_core import View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.geometry import Box
from dvid_voxels.paths import parse_plane
from dvid_voxels.peers import Voxels

from .images import Array, Images, new_images, noise, picture

BLOCK = (4, 8, 16)
SIZE = (8, 16, 48)


def even(low: tuple[int, int, int], size: tuple[int, int, int]) -> Array:
    """For each voxel whether its block's coordinates add up to an even number."""
    z, y, x = np.indices(size)
    blocks = [(axis + o) // b for axis, o, b in zip((z, y, x), low, BLOCK)]
    inside: Array = sum(blocks) % 2 == 0
    return inside


@pytest_asyncio.fixture
async def masked(server: RunningServer) -> Images:
    images = await new_images(server, "uint16blk", Background="9")
    await server.instance(images.uuid, "evens", "evenblocks")
    return images


async def test_written_blocks_outside_read_as_background(masked: Images) -> None:
    voxels = noise(SIZE, "<u2")
    await masked.put((0, 0, 0), voxels)
    low, size = (-2, 3, 5), (9, 20, 50)
    shown = await masked.get(low, size, "?roi=evens&attenuation=3")
    wanted = np.zeros(size, "<u2")
    inside = (slice(2, 9), slice(0, 13), slice(0, 43))
    wanted[inside] = np.where(even((0, 3, 5), (7, 13, 43)), voxels[:7, 3:, 5:], 0x0909)
    assert (shown == wanted).all()
    shot = picture((await masked.ask("GET", "raw/xy/48_16/0_0_1?roi=evens")).body)
    assert (shot == np.where(even((1, 0, 0), (1, 16, 48)), voxels[1:2], 0x0909)[0]).all()


async def test_only_blocks_inside_are_written_and_the_extents_grow_by_all(masked: Images) -> None:
    voxels = noise(SIZE, "<u2")
    await masked.put((0, 0, 0), voxels, "?roi=evens")
    assert (await masked.get((0, 0, 0), SIZE) == np.where(even((0, 0, 0), SIZE), voxels, 0)).all()
    assert await masked.extents() == ((0, 0, 0), (7, 15, 47))


async def test_bad_attenuations_are_refused(masked: Images) -> None:
    for value in ("0", "8", "x", "-1", "1.5"):
        assert "attenuation" in await masked.refused("GET", f"raw/0_1_2/4_4_4/0_0_0?roi=evens&attenuation={value}")


async def test_other_types_read_pictures_as_peers(server: RunningServer) -> None:
    images = await new_images(server, "rgba8blk", VoxelSize="1,2,3")
    voxels = noise(SIZE, "<u4")
    await images.put((0, 0, 0), voxels)
    repo, node = server.server.repos.find(images.uuid)
    peer = await View(repo.instance("images"), node).peer("images", Voxels)  # type: ignore[type-abstract]
    assert peer.voxel_size == (1, 2, 3)
    assert await peer.extents() == Box((0, 0, 0), SIZE)
    shown = await peer.picture(parse_plane("xz"), Box((2, 5, 7), (4, 1, 9)))
    assert (shown == voxels[2:6, 5, 7:16].copy().view("u1").reshape(4, 9, 4)).all()
