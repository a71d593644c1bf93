"""Planes at any angle, against interpolation voxel by voxel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer

from .images import Array, new_images, noise, picture

SCALE = (8.0, 8.0, 16.0)
BACKGROUND = 33
BLOCK = (4, 8, 16)


def interpolated(voxels: Array, corners: list[Array], res: float) -> Array:
    """`voxels` (z, y, x, channels) begin at 0; blocks beyond them show the background."""
    tl, tr, bl = corners
    nx, ny = (int(math.dist(tl, p) / res) for p in (tr, bl))
    right, down = (tr - tl) / max(1, nx), (bl - tl) / max(1, ny)
    out = np.empty((ny + 1, nx + 1, voxels.shape[3]), np.uint8)

    def voxel(at: list[int]) -> Array:
        x, y, z = at
        inside = 0 <= z < voxels.shape[0] and 0 <= y < voxels.shape[1] and 0 <= x < voxels.shape[2]
        return voxels[z, y, x].astype(float) if inside else np.full(voxels.shape[3], float(BACKGROUND))

    row = tl.copy()
    for j in range(ny + 1):
        p = row.copy()
        for i in range(nx + 1):
            v = p / SCALE
            total = np.zeros(voxels.shape[3])
            for corner in np.ndindex(2, 2, 2):
                at = [math.ceil(c) if up else math.floor(c) for c, up in zip(v, corner)]
                weight = math.prod((c - math.floor(c)) if up else 1 - (c - math.floor(c)) for c, up in zip(v, corner))
                total += weight * voxel(at)
            out[j, i] = np.minimum(np.floor(total + 0.5), 255)
            p = p + right
        row = row + down
    return out


@pytest.mark.parametrize("typename", ["uint8blk", "rgba8blk"])
@pytest.mark.parametrize(
    ("tl", "tr", "bl", "res"),
    [
        ("0_0_80", "240_0_80", "0_120_80", 8),
        ("40.5_30.25_20", "200.5_30.25_60", "40.5_90.25_20", 7.5),
        ("-40_-8_-30", "200_60_100", "-40_150_250", 11),
        ("16_16_16", "16_16_16", "16_80_16", 4),
        ("-400_-400_-400", "-300_-400_-400", "-400_-300_-400", 20),
    ],
)
async def test_each_pixel_is_interpolated(
    server: RunningServer, typename: str, tl: str, tr: str, bl: str, res: float
) -> None:
    images = await new_images(server, typename, VoxelSize="8,8,16", Background=str(BACKGROUND))
    voxels = noise((12, 16, 32), images.item)
    await images.put((0, 0, 0), voxels)
    answer = await images.ask("GET", f"arb/{tl}/{tr}/{bl}/{res}")
    corners = [np.array([float(c) for c in p.split("_")]) for p in (tl, tr, bl)]
    values = voxels.view("u1").reshape(*voxels.shape, -1)
    wanted = interpolated(values, corners, res)
    shown = picture(answer.body).reshape(wanted.shape)
    assert np.abs(shown.astype(int) - wanted).max() <= 1
    assert (shown != wanted).mean() < 0.01


async def test_formats_of_a_tilted_plane(server: RunningServer) -> None:
    images = await new_images(server)
    await images.put((0, 0, 0), noise((4, 8, 16)))
    for form, kind in (("png", "png"), ("jpg:90", "jpeg"), ("tif", "tiff"), ("bmp", "bmp")):
        answer = await images.ask("GET", f"arb/0_0_8/100_0_8/0_50_24/8/{form}")
        assert answer.headers["Content-Type"] == f"image/{kind}"
        assert picture(answer.body).shape == (7, 13)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("0_0_0/8_0_0/0_8_0", "res"),
        ("0_0/8_0_0/0_8_0/8", "tl"),
        ("0_0_0/8_0_0/0_8_0/x", "res"),
        ("0_0_0/8_0_0/0_8_0/0", "res"),
        ("0_0_0/8_0_0/0_8_0/-1", "res"),
        ("0_0_0/8_0_0/nan_8_0/8", "bl"),
        ("0_0_0/8_0_0/0_8_0/8/gif", "format"),
        ("0_0_0/1e20_0_0/0_8_0/8", "tr"),
        ("0_0_0/1000000_0_0/0_1000000_0/1", "res"),
        ("0_0_0/1000000_0_0/0_8_0/1", "res"),
    ],
)
async def test_bad_planes_are_refused_naming_the_field(server: RunningServer, path: str, word: str) -> None:
    images = await new_images(server)
    assert word in await images.refused("GET", f"arb/{path}")


async def test_types_without_such_images_say_so(server: RunningServer) -> None:
    for typename in ("uint16blk", "uint32blk", "uint64blk", "float32blk"):
        images = await new_images(server, typename)
        assert typename in await images.refused("GET", "arb/0_0_0/8_0_0/0_8_0/8")
