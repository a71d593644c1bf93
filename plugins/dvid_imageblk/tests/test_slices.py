"""Slices as images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer

from .images import Array, Images, new_images, noise, picture

LOW, SIZE = (-4, 0, -16), (12, 24, 48)
CUTS: dict[str, tuple[str, Any]] = {
    "xy": ("30_13/-9_5_3", (7, slice(5, 18), slice(7, 37))),
    "xz": ("30_9/-9_5_-2", (slice(2, 11), 5, slice(7, 37))),
    "yz": ("13_9/2_5_-2", (slice(2, 11), slice(5, 18), 18)),
}


async def loaded(server: RunningServer, typename: str, **settings: str) -> tuple[Images, Array]:
    images = await new_images(server, typename, **settings)
    voxels = noise(SIZE, images.item)
    await images.put(LOW, voxels)
    return images, voxels


def pixels(cut: Array, typename: str) -> Array:
    """What a slice looks like: gray, or the bytes of a voxel."""
    return cut if typename in ("uint8blk", "uint16blk") else np.ascontiguousarray(cut).view("u1").reshape(*cut.shape, 4)


@pytest.mark.parametrize("form", ["", "/png", "/png:3", "/tif", "/tiff"])
@pytest.mark.parametrize("plane", CUTS)
@pytest.mark.parametrize("typename", ["uint8blk", "uint16blk", "uint32blk", "float32blk", "rgba8blk"])
async def test_a_slice_shows_its_voxels(server: RunningServer, typename: str, plane: str, form: str) -> None:
    images, voxels = await loaded(server, typename)
    path, cut = CUTS[plane]
    answer = await images.ask("GET", f"raw/{plane}/{path}{form}")
    assert answer.headers["Content-Type"] == ("image/tiff" if "tif" in form else "image/png")
    assert (picture(answer.body) == pixels(voxels[cut], typename)).all()


async def test_jpeg_and_bmp_slices(server: RunningServer) -> None:
    images = await new_images(server)
    z, y, x = np.indices((4, 24, 48))
    voxels = (z + 3 * y + 2 * x).astype(np.uint8)
    await images.put((0, 0, 0), voxels)
    for form, kind, tolerance in (
        ("bmp", "bmp", 0),
        ("jpg", "jpeg", 12),
        ("jpeg:100", "jpeg", 3),
        ("jpg:999", "jpeg", 3),
    ):
        answer = await images.ask("GET", f"raw/xy/48_24/0_0_1/{form}")
        assert answer.headers["Content-Type"] == f"image/{kind}"
        assert np.abs(picture(answer.body).astype(int) - voxels[1]).max() <= tolerance


async def test_a_box_may_be_one_jpeg(server: RunningServer) -> None:
    images = await new_images(server)
    z, y, x = np.indices((8, 16, 32))
    voxels = (9 * z + 2 * y + x).astype(np.uint8)
    await images.put((0, 0, 0), voxels)
    for form in ("jpg", "jpeg"):
        answer = await images.ask("GET", f"raw/0_1_2/20_10_5/1_2_3/{form}")
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert np.abs(picture(answer.body).astype(int) - voxels[3:8, 2:12, 1:21].reshape(50, 20)).max() < 24


async def test_where_nothing_is_a_slice_is_black(server: RunningServer) -> None:
    images, voxels = await loaded(server, "uint8blk", Background="77")
    shown = picture((await images.ask("GET", "raw/xy/60_40/-26_-8_0")).body)
    wanted = np.zeros((40, 60), np.uint8)
    wanted[8:32, 10:58] = voxels[4]
    assert (shown == wanted).all()


@pytest.mark.parametrize("plane", CUTS)
async def test_a_large_png_is_streamed(server: RunningServer, plane: str) -> None:
    images = await new_images(server, block="64,64,32")
    voxels = noise((32, 64, 64))
    await images.put((1024, 1024, 1024), voxels)
    answer = await images.ask(
        "GET", f"raw/{plane}/2400_2300/{'_'.join('1030' if a not in plane else '0' for a in 'xyz')}"
    )
    wanted = np.zeros((2300, 2400), np.uint8)
    cut = {"xy": voxels[6], "xz": voxels[:, 6], "yz": voxels[:, :, 6]}[plane]
    wanted[1024 : 1024 + cut.shape[0], 1024 : 1024 + cut.shape[1]] = cut
    assert (picture(answer.body) == wanted).all()


def area_average(image: Array, height: int, width: int) -> Array:
    """Magnified to common multiples and averaged, the slow way."""
    h, w = image.shape[:2]
    large = image.repeat(height, axis=0).repeat(width, axis=1).astype(np.uint64)
    boxes = large.reshape(height, h, width, w, *image.shape[2:]).sum(axis=(1, 3))
    means: Array = (boxes // (h * w)).astype(image.dtype)
    return means


@pytest.mark.parametrize("typename", ["uint8blk", "uint16blk", "rgba8blk"])
async def test_isotropic_slices_have_square_pixels(server: RunningServer, typename: str) -> None:
    images, voxels = await loaded(server, typename, VoxelSize="4,4,10")
    for plane, size, source in (("xz", (30, 20), (30, 8)), ("yz", (20, 12), (20, 5)), ("xz", (7, 1), (7, 1))):
        first = (
            voxels[: source[1], 2, 3 : 3 + source[0]] if plane == "xz" else voxels[: source[1], 2 : 2 + source[0], 3]
        )
        answer = await images.ask("GET", f"isotropic/{plane}/{size[0]}_{size[1]}/-13_2_-4")
        assert (picture(answer.body) == area_average(pixels(first, typename), size[1], size[0])).all()
    same = await images.ask("GET", "isotropic/xy/9_8/0_0_0")
    assert same.body == (await images.ask("GET", "raw/xy/9_8/0_0_0")).body
    box = await images.ask("GET", "isotropic/0_1_2/9_8_7/0_0_0")
    assert box.body == (await images.ask("GET", "raw/0_1_2/9_8_7/0_0_0")).body


async def test_a_wider_voxel_is_stretched_along_the_width(server: RunningServer) -> None:
    images, voxels = await loaded(server, "uint8blk", VoxelSize="24,8,8")
    answer = await images.ask("GET", "isotropic/xy/31_20/-16_0_-4")
    assert (picture(answer.body) == area_average(voxels[0, :20, :10], 20, 31)).all()


@pytest.mark.parametrize("typename", ["uint8blk", "uint16blk", "uint32blk", "uint64blk", "float32blk", "rgba8blk"])
@pytest.mark.parametrize("form", ["png", "jpg", "tif", "bmp"])
async def test_every_type_has_every_format(server: RunningServer, typename: str, form: str) -> None:
    images, _ = await loaded(server, typename, VoxelSize="4,4,10")
    for path in ("raw/xy/20_10/0_0_0", "isotropic/xz/20_10/0_0_0"):
        answer = await images.ask("GET", f"{path}/{form}")
        assert answer.status == 200
        kind = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff", "bmp": "image/bmp"}[form]
        assert answer.headers["Content-Type"] == kind
        if (typename, form) != ("uint64blk", "png") and (typename, form) != ("uint64blk", "tif"):
            assert picture(answer.body).shape[:2] == (10, 20)
