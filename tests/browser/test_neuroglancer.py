"""Neuroglancer in a real browser shows gray scale and segmentation from `dvid://` layers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import dvid_imageblk
import dvid_labelmap
import neuroglancer
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Browser

from dvid_core.testing.fixtures import RunningServer, running

from .viewing import HEIGHT, WIDTH, Pixels, Viewing, viewing

SIZE = (128, 192, 256)
"""z, y, x: several chunks, of which those at the edge are cut."""

CELL = 32
LARGE = 2**63 + 2**53 + 5
"""A label that neither a double nor a signed integer holds."""

COLORS = {1: "#ff0000", 2: "#00ff00", LARGE: "#0000ff"}
TOLERANCE = 4
"""Gray values come as JPEG."""


def gray_values() -> NDArray[np.uint8]:
    """Two shades as on a chess board."""
    z, y, x = np.ogrid[: SIZE[0], : SIZE[1], : SIZE[2]]
    return np.where((z // CELL + y // CELL + x // CELL) % 2, 160, 60).astype(np.uint8)


def label_values() -> NDArray[np.uint64]:
    """Two bodies on the left, one on the right, background in the middle."""
    out = np.full(SIZE, LARGE, np.uint64)
    out[:, :96, :128] = 1
    out[:, 96:, :128] = 2
    out[:, 64:128, 96:160] = 0
    return out


def expected(gray: NDArray[np.uint8], labels: NDArray[np.uint64], alpha: float) -> Pixels:
    """A section as it must look: colors over gray, background clear."""
    out = np.repeat(gray[..., None], 3, axis=-1).astype(float)
    for label, color in COLORS.items():
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        inside = labels == label
        out[inside] = (1 - alpha) * out[inside] + alpha * rgb
    return out.round().astype(np.uint8)


def cells(section: Pixels) -> Pixels:
    """The middle of each cell of a section."""
    return section[CELL // 2 :: CELL, CELL // 2 :: CELL]


def shown(picture: Pixels, zoom: float) -> Pixels:
    """The middle of each cell in a picture whose middle is the section's, `zoom` voxels to a pixel."""
    _, h, w = SIZE
    # The bar above the panel is cut off, which moves the middle down.
    top, bottom = 48, HEIGHT
    y = ((np.arange(CELL // 2, h, CELL) - h / 2) / zoom + (top + bottom) / 2).astype(int)
    x = ((np.arange(CELL // 2, w, CELL) - w / 2) / zoom + WIDTH / 2).astype(int)
    return picture[np.ix_(y, x)]


def assert_alike(picture: Pixels, wanted: Pixels, zoom: float) -> None:
    """Demand that a picture shows the section."""
    got = shown(picture, zoom).astype(int)
    apart = np.abs(got - cells(wanted).astype(int)).max(axis=-1)
    assert (apart <= TOLERANCE).all(), f"cells differ by up to {apart.max()}:\n{got.tolist()}"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server that lets pages of every origin in."""
    plugins = (dvid_imageblk, dvid_labelmap)
    async with running("rocksdb", tmp_path, plugins=plugins, cors_domains=("*",)) as found:
        yield found


async def new_volumes(server: RunningServer) -> str:
    """A repo with gray scale and a segmentation of the same size; the UUID of its root."""
    uuid = await server.repo(alias="medulla", description="a small part")
    whole = f"raw/0_1_2/{'_'.join(map(str, SIZE[::-1]))}/0_0_0"
    gray = await server.instance(uuid, "grayscale", "uint8blk", BlockSize="64,64,64", VoxelSize="8,8,8")
    await server.post(f"{gray}/{whole}", gray_values().tobytes())
    settings = {"BlockSize": "64,64,64", "VoxelSize": "8,8,8", "MaxDownresLevel": "2"}
    labels = await server.instance(uuid, "segmentation", "labelmap", **settings)
    await server.post(f"{labels}/{whole}", label_values().tobytes())
    return uuid


def look(view: Viewing, node: str, *, z: int = 40, zoom: float = 1) -> None:
    """Point Neuroglancer at a section of both volumes."""
    with view.viewer.txn() as state:
        state.dimensions = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=[8, 8, 8])
        state.layers["gray"] = neuroglancer.ImageLayer(source=f"dvid://{view.url}/{node}/grayscale")
        layer = neuroglancer.SegmentationLayer(source=f"dvid://{view.url}/{node}/segmentation")
        layer.segment_colors = COLORS
        layer.not_selected_alpha = layer.selected_alpha = 0.5
        state.layers["bodies"] = layer
        state.position = [SIZE[2] / 2, SIZE[1] / 2, z]
        state.cross_section_scale = zoom
        state.layout = "xy"
        state.show_axis_lines = state.show_scale_bar = state.show_default_annotations = False


def assert_answered(view: Viewing) -> None:
    """Demand that every answer was a success that pages of other origins may read."""
    for answer in view.answers:
        assert answer.status == 200, f"{answer.status} {answer.request.method} {answer.url}"
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.slow
async def test_gray_scale_and_bodies_are_shown(
    server: RunningServer, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = await new_volumes(server)
    async with viewing(browser, server.url, monkeypatch) as view:
        look(view, uuid)
        picture = await view.picture()
        assert_alike(picture, expected(gray_values()[40], label_values()[40], 0.5), 1)
        assert_answered(view)
        assert view.asked("/api/repos/info")
        assert len(view.asked("/grayscale/raw/0_1_2/64_64_64/")) >= 12
        assert len(view.asked("compression=googlegzip&scale=0")) >= 12


@pytest.mark.slow
async def test_lower_scales_are_shown_from_afar(
    server: RunningServer, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = await new_volumes(server)
    async with viewing(browser, server.url, monkeypatch) as view:
        look(view, uuid, zoom=4)
        picture = await view.picture()
        assert_alike(picture, expected(gray_values()[40], label_values()[40], 0.5), 4)
        assert_answered(view)
        assert view.asked("compression=googlegzip&scale=2")


@pytest.mark.slow
async def test_a_version_shows_its_own_bodies_and_voxels(
    server: RunningServer, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = await new_volumes(server)
    await server.commit(uuid)
    child = await server.newversion(uuid)
    other = np.full((64, 64, 64), 2, np.uint64)
    await server.post(f"/api/node/{child}/segmentation/raw/0_1_2/64_64_64/192_0_0", other.tobytes())
    # A MappingOps message: supervoxel 1 belongs to body 2.
    await server.post(f"/api/node/{child}/segmentation/mappings", b"\x0a\x05\x10\x02\x1a\x01\x01")
    labels = label_values()
    labels[:64, :64, 192:] = 2
    labels[labels == 1] = 2
    async with viewing(browser, server.url, monkeypatch) as view:
        # The open version by the name of its branch, and a prefix of the root's UUID.
        look(view, f"{uuid}:master")
        assert_alike(await view.picture(), expected(gray_values()[40], labels[40], 0.5), 1)
        look(view, uuid[:8])
        assert_alike(await view.picture(), expected(gray_values()[40], label_values()[40], 0.5), 1)
        assert_answered(view)
