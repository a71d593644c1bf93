"""Tiles, slices and voxels come through, padded where they reach beyond the volume."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from cramjam import lz4
from numpy.typing import NDArray
from PIL import Image

from dvid_core.testing.fixtures import Answer, RunningServer

from .service import VOLUME, Service


class Remote:
    """The instance `g`."""

    def __init__(self, server: RunningServer, uuid: str) -> None:
        self.server, self.uuid = server, uuid

    async def ask(self, method: str, end: str) -> Answer:
        return await self.server.ask(method, f"/api/node/{self.uuid}/g/{end}")

    async def image(self, end: str) -> NDArray[Any]:
        answer = await self.ask("GET", end)
        assert answer.status == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.body)))


@pytest.fixture
async def remote(server: RunningServer, service: Service) -> Remote:
    uuid = await server.repo()
    await server.instance(uuid, "g", "googlevoxels", volumeid=VOLUME, tilesize="32")
    return Remote(server, uuid)


def padded(volume: NDArray[np.uint8], margin: int = 200) -> NDArray[np.uint8]:
    return np.pad(volume, margin)


@pytest.mark.parametrize("offset", [(0, 0, 0), (3, 5, 7), (90, 70, 50), (-10, -5, 20), (99, 79, 59), (-20, 70, 3)])
@pytest.mark.parametrize("plane", ["xy", "XZ", "1_2"])
async def test_slices_anywhere_are_those_of_the_volume(
    remote: Remote, service: Service, plane: str, offset: tuple[int, int, int]
) -> None:
    x, y, z = (n + 200 for n in offset)
    whole = padded(service.volumes[0])
    wanted = {"xy": whole[z, y : y + 20, x : x + 30], "XZ": whole[z : z + 20, y, x : x + 30],
              "1_2": whole[z : z + 20, y : y + 30, x]}[plane]  # fmt: skip
    place = "_".join(map(str, offset))
    assert np.array_equal(await remote.image(f"raw/{plane}/30_20/{place}"), wanted)


async def test_tiles_count_in_tiles_along_the_plane_and_in_voxels_across(remote: Remote, service: Service) -> None:
    whole = padded(service.volumes[0])
    assert np.array_equal(await remote.image("tile/xy/0/1_2_33"), whole[233, 264:296, 232:264])
    assert np.array_equal(await remote.image("tile/xz/0/3_10_1"), whole[232:264, 210, 296:328])
    assert np.array_equal(await remote.image("tile/xy/0/0_0_5?tilesize=10"), whole[205, 200:210, 200:210])


async def test_scales_are_found_by_shape_and_size_of_pixels(remote: Remote, service: Service) -> None:
    assert np.array_equal(await remote.image("raw/xy/10_10/2_3_40?scale=1"), service.volumes[1][40, 3:13, 2:12])
    assert np.array_equal(await remote.image("tile/xy/2/0_0_4?tilesize=8"), service.volumes[2][4, :8, :8])
    assert service.requests[-1][1]["imageSpec"]["geometry"]["scale"] == 2
    for end in ("raw/xz/4_4/0_0_0?scale=1", "raw/xy/4_4/0_0_0?scale=3", "raw/vol/4_4_4/0_0_0?scale=1"):
        answer = await remote.ask("GET", end)
        assert answer.status == 400
        assert "scale" in answer.text


async def test_formats_are_those_of_images(remote: Remote, service: Service) -> None:
    for form, kind in (("", "png"), ("/png", "png"), ("/jpg:70", "jpeg"), ("/tif", "tiff"), ("/bmp", "bmp")):
        for place in ("0_0_5", "90_70_5", "500_0_0"):
            answer = await remote.ask("GET", f"raw/xy/20_20/{place}{form}")
            assert answer.headers["Content-Type"] == f"image/{kind}"
            assert Image.open(io.BytesIO(answer.body)).format == kind.upper()
    assert service.requests[-3][1]["imageSpec"]["imageOptions"] == {"imageFormat": "PNG"}
    await remote.ask("GET", "raw/xy/20_20/0_0_5/jpg:70")
    assert service.requests[-1][1]["imageSpec"]["imageOptions"] == {"imageFormat": "JPEG", "jpegQuality": 70}


async def test_outside_of_the_volume_it_is_black_or_404_and_nobody_is_asked(remote: Remote, service: Service) -> None:
    await remote.ask("GET", "info")
    before = len(service.requests)
    assert not (await remote.image("tile/xy/0/50_0_0")).any()
    assert not (await remote.image("raw/xy/5_5/0_0_-1")).any()
    answer = await remote.ask("GET", "tile/xy/0/50_0_0?noblanks=true")
    assert answer.status == 404
    assert "not found" in answer.text
    assert len(service.requests) == before


async def test_voxels_of_a_box_come_as_bytes(remote: Remote, service: Service) -> None:
    wanted = service.volumes[0][10:30, 5:45, 2:62].tobytes()
    answer = await remote.ask("GET", "raw/0_1_2/60_40_20/2_5_10")
    assert (answer.body, answer.headers["Content-Length"]) == (wanted, str(len(wanted)))
    packed = await remote.ask("GET", "raw/vol/60_40_20/2_5_10?compression=lz4")
    assert bytes(lz4.decompress_block(packed.body, output_len=len(wanted))) == wanted
    coarse = await remote.ask("GET", "raw/vol/5_5_5/0_0_0?scale=2&throttle=on")
    assert coarse.body == service.volumes[2][:5, :5, :5].tobytes()


async def test_a_box_beyond_the_volume_is_refused_and_one_outside_is_empty(remote: Remote) -> None:
    assert (await remote.ask("GET", "raw/vol/60_40_20/50_0_0")).status == 400
    assert (await remote.ask("GET", "raw/vol/60_40_20/-1_0_0")).status == 400
    answer = await remote.ask("GET", "raw/vol/60_40_20/100_0_0")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "end",
    [
        "tile/vol/0/0_0_0", "tile/xy/x/0_0_0", "tile/xy/256/0_0_0", "tile/xy/0/0_0", "tile/xy/0/0_0_0?tilesize=0",
        "tile/xy/0/0_0_0?tilesize=100000", "tile/xy/0/99999999_0_0", "tile/xy/0/0_0_0/gif", "tile/xy",
        "raw/xy/0_5/0_0_0", "raw/xy/100000_100000/0_0_0", "raw/vol/5_5/0_0_0", "raw/vol/5_5_5/0_0_0/jpg",
        "raw/xy/5_5/0_0_0?scale=-1", "raw/vol/5_5_5/0_0_0?compression=gzip", "isotropic/xy/5_5/0_0_0",
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_anybody_is_asked(remote: Remote, service: Service, end: str) -> None:
    await remote.ask("GET", "info")
    before = len(service.requests)
    assert (await remote.ask("GET", end)).status == 400
    assert len(service.requests) == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_are_refused(remote: Remote, method: str) -> None:
    assert (await remote.ask(method, "raw/xy/5_5/0_0_0")).status == 400
    assert (await remote.ask(method, "tile/xy/0/0_0_0")).status == 400


@pytest.mark.parametrize(("fail", "status"), [("500", 503), ("503", 503), ("403", 400), ("302", 503)])
async def test_an_error_of_the_service_is_told(remote: Remote, service: Service, fail: str, status: int) -> None:
    await remote.ask("GET", "info")
    service.fail = fail
    for end in ("tile/xy/0/0_0_0", "raw/vol/5_5_5/0_0_0"):
        answer = await remote.ask("GET", end)
        assert answer.status == status
        assert "BrainMaps" in answer.text
    service.fail = ""
    assert (await remote.ask("GET", "tile/xy/0/0_0_0")).status == 200


@pytest.mark.parametrize("fail", ["text", "small"])
async def test_an_image_that_is_none_cannot_be_padded(remote: Remote, service: Service, fail: str) -> None:
    await remote.ask("GET", "info")
    service.fail = fail
    assert (await remote.ask("GET", "raw/xy/20_20/90_70_5")).status == 503


@pytest.mark.parametrize("fail", ["short", "long"])
async def test_voxels_of_another_number_are_never_passed_off_as_whole(
    remote: Remote, service: Service, fail: str
) -> None:
    await remote.ask("GET", "info")
    service.fail = fail
    answer = await remote.ask("GET", "raw/vol/5_5_5/0_0_0")
    assert answer.status == 503


async def test_a_service_that_is_gone_is_told(
    remote: Remote, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVID_BRAINMAPS_URL", "http://127.0.0.1:9/v1")
    body = {"typename": "googlevoxels", "dataname": "gone", "volumeid": VOLUME}
    answer = await remote.server.ask("POST", f"/api/repo/{remote.uuid}/instance", json=body)
    assert answer.status == 400
    assert "BrainMaps" in answer.text
