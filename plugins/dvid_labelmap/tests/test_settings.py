"""Settings, extents and counters as requests change them."""

from __future__ import annotations

import pytest

from dvid_core.testing.fixtures import RunningServer

from .segmentation import Segmentation, cells


async def test_settings_change_for_all_versions_and_stay(server: RunningServer, seg: Segmentation) -> None:
    await server.post(f"{seg.place}/info", json={"VoxelSize": "4,4,40", "MaxDownresLevel": "1", "Nonsense": "x"})
    shown = (await server.get(f"{seg.place}/info"))["Extended"]
    assert (shown["VoxelSize"], shown["MaxDownresLevel"], shown["BlockSize"]) == ([4, 4, 40], 1, [16, 16, 16])
    await seg.put((0, 0, 0), cells((16, 16, 16)))
    await seg.refused("POST", "info", b'{"BlockSize": "32,32,32"}')
    await server.post(f"{seg.place}/info", json={"MaxDownresLevel": "3"})
    await seg.put((0, 0, 0), cells((16, 16, 16), seed=2))
    assert (await seg.get((0, 0, 0), (2, 2, 2), "?scale=3")).shape == (2, 2, 2)


@pytest.mark.parametrize("size", ["0,16,16", "-16,16,16", "2048,16,16", "24,16,16", "16,16", "", "1024,1024,1024"])
async def test_block_sizes_that_cannot_be_are_refused(server: RunningServer, size: str) -> None:
    uuid = await server.repo()
    settings = {"typename": "labelmap", "dataname": "seg", "BlockSize": size}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=settings)
    assert answer.status == 400
    assert "BlockSize" in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"MinPoint": [0, 0, 0]}', b'{"MinPoint": [0, 0], "MaxPoint": [1, 1]}']
)
async def test_extents_that_are_none_are_refused(seg: Segmentation, body: bytes) -> None:
    await seg.refused("POST", "extents", body)
    assert (await seg.api.get(f"{seg.place}/info"))["Extended"]["MinPoint"] is None


@pytest.mark.parametrize(
    "path",
    [
        "raw/0_1_2/16_16_16/0_0_0?scale=-1",
        "raw/0_1_2/16_16_16/0_0_0?scale=256",
        "raw/0_1_2/16_16_16/0_0_0?scale=1_0",
        "raw/0_1_2/16_16_16/0_0_0?compression=zip",
        "raw/0_1_2/20_16_16/0_0_0?compression=google",
        "raw/0_1_2/2000000000_2000000000_2000000000/0_0_0",
        "raw/0_1_2/16_16_16/2147483647_0_0",
        "blocks/16_16_16/8_0_0",
        "label/1_2",
        "label/1_2_3_4",
        "label/99999999999_0_0",
        "size/0",
        "size/18446744073709551616",
        "index/",
        "index-version",
        "listlabels?number=-1",
        "sparsevol-size/0",
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused(seg: Segmentation, path: str) -> None:
    await seg.refused("GET", path)
