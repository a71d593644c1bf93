"""Instances: what is asked of the service, by what right, and what info shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dvid_googlevoxels.geometry import Geometry, arranged

from dvid_core.testing.fixtures import RunningServer

from .service import VOLUME, Service, geometry, key_file


async def make(server: RunningServer, **settings: Any) -> tuple[int, str, str]:
    """Status, text and path of a new instance."""
    uuid = await server.repo()
    body = {"typename": "googlevoxels", "dataname": "g", **settings}
    answer = await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    return answer.status, answer.text, f"/api/node/{uuid}/g"


async def test_without_an_account_no_instance_can_be_made(server: RunningServer) -> None:
    status, text, path = await make(server, volumeid=VOLUME)
    assert status == 400
    assert "not configured" in text
    assert (await server.ask("GET", f"{path}/info")).status == 400


async def test_a_key_file_that_a_client_names_is_not_even_looked_for(
    server: RunningServer, service: Service, tmp_path: Path
) -> None:
    there = tmp_path / "there.json"
    there.write_text(key_file(service))
    texts = {(await make(server, volumeid=VOLUME, jwtfile=str(p)))[:2] for p in (there, tmp_path / "absent.json")}
    assert len(texts) == 1
    assert texts.pop()[0] == 400
    assert service.tokens == 0


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "a?b", "a%2Fb", "é", "x" * 201, 7])
async def test_a_volume_name_that_is_none_is_refused(server: RunningServer, service: Service, name: Any) -> None:
    status, text, _ = await make(server, volumeid=name)
    assert status == 400
    assert "volumeid" in text.lower()
    assert service.requests == []


async def test_info_shows_the_scales_and_no_secret(server: RunningServer, service: Service) -> None:
    _, _, path = await make(server, VolumeID=VOLUME)
    shown = (await server.get(f"{path}/info"))["Extended"]
    assert shown["VolumeID"] == VOLUME
    assert (shown["TileSize"], shown["HighResIndex"]) == (512, 0)
    assert (shown["MinTileCoord"], shown["MaxTileCoord"]) == ([0, 0, 0], [1, 1, 1])
    assert shown["GeomMap"] == {"XY:0": 0, "XZ:0": 0, "YZ:0": 0, "XYZ:0": 0, "XY:1": 1, "XYZ:2": 2}
    assert shown["Scales"][1] == {
        "volumeSize": [50, 40, 60], "channelCount": 1, "channelType": "UINT8", "pixelSize": [16, 16, 8],
    }  # fmt: skip
    assert shown["Levels"]["1"] == {"Resolution": [16, 16, 16], "TileSize": [512, 512, 512]}
    assert "let-me-in" not in str(shown)


async def test_a_token_goes_with_every_request(server: RunningServer, service: Service) -> None:
    _, _, path = await make(server, volumeid=VOLUME)
    await server.get(f"{path}/raw/vol/4_4_4/0_0_0")
    assert set(service.authorization) == {"Bearer let-me-in"}


async def test_a_service_account_gets_its_token_once(
    server: RunningServer, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.json"
    key.write_text(key_file(service))
    monkeypatch.setenv("DVID_BRAINMAPS_CREDENTIALS", str(key))
    monkeypatch.delenv("DVID_BRAINMAPS_TOKEN")
    service.token = ""
    status, _, path = await make(server, volumeid=VOLUME, jwtfile="key.json")
    assert status == 200
    for _ in range(3):
        await server.get(f"{path}/raw/vol/4_4_4/0_0_0")
    # One for the description at creation, one for all that is read.
    assert service.tokens == 2
    assert set(service.authorization) == {"Bearer fresh-1", "Bearer fresh-2"}


async def test_a_key_file_that_is_none_is_told_without_its_place(
    server: RunningServer, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVID_BRAINMAPS_CREDENTIALS", str(tmp_path / "absent.json"))
    status, text, _ = await make(server, volumeid=VOLUME)
    assert status == 400
    assert "token" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_the_scales_are_kept_over_a_restart(server: RunningServer, service: Service) -> None:
    _, _, path = await make(server, volumeid=VOLUME)
    before = await server.get(f"{path}/info")
    asked = len(service.requests)
    await server.restart()
    assert await server.get(f"{path}/info") == before
    assert len(service.requests) == asked


async def test_a_client_cannot_invent_scales(server: RunningServer, service: Service) -> None:
    invented = [{"volumeSize": [1, 1, 1], "channelCount": 1, "channelType": "UINT8", "pixelSize": [1, 1, 1]}]
    _, _, path = await make(server, volumeid=VOLUME, Scales=invented)
    assert len((await server.get(f"{path}/info"))["Extended"]["Scales"]) == 3


@pytest.mark.parametrize(
    "metadata",
    [
        {}, [], {"geometry": []}, {"geometry": [{}]}, {"geometry": [geometry((0, 5, 5), (8, 8, 8))]},
        {"geometry": [geometry((5, 5, 5), (0, 8, 8))]}, {"geometry": [geometry((5, 5, 2**40), (8, 8, 8))]},
        {"geometry": [{**geometry((5, 5, 5), (8, 8, 8)), "channelCount": "many"}]},
    ],
)  # fmt: skip
async def test_metadata_that_are_none_are_told(server: RunningServer, service: Service, metadata: Any) -> None:
    service.metadata = metadata
    status, text, path = await make(server, volumeid=VOLUME)
    assert status == 400
    assert "BrainMaps" in text
    assert (await server.ask("GET", f"{path}/info")).status == 400
    service.metadata = Service().metadata
    assert (await make(server, volumeid=VOLUME))[0] == 200


async def test_an_unknown_volume_is_told(server: RunningServer, service: Service) -> None:
    status, text, _ = await make(server, volumeid="nobody:nothing")
    assert status == 400
    assert "no such volume" in text


async def test_voxels_of_an_unknown_type_are_refused(server: RunningServer, service: Service) -> None:
    service.metadata = {"geometry": [geometry((50, 50, 50), (8, 8, 8), "COMPLEX")]}
    _, _, path = await make(server, volumeid=VOLUME)
    for end in ("raw/vol/4_4_4/0_0_0", "tile/xy/0/0_0_0"):
        answer = await server.ask("GET", f"{path}/{end}")
        assert answer.status == 400
        assert "COMPLEX" in answer.text


@pytest.mark.parametrize(
    ("pixels", "place"),
    [
        ((16, 16, 8), ("XY", 1)), ((16, 8, 16), ("XZ", 1)), ((8, 16, 16), ("YZ", 1)), ((16, 16, 16), ("XYZ", 1)),
        ((24, 24, 24), ("XYZ", 2)), ((32, 32, 8), ("XY", 2)), ((64, 64, 64), ("XYZ", 3)), ((8, 8, 16), ("XYZ", 1)),
    ],
)  # fmt: skip
def test_shape_and_scale_follow_from_the_ratio_of_pixels(
    pixels: tuple[float, float, float], place: tuple[str, int]
) -> None:
    finest = Geometry((9, 9, 9), 1, "UINT8", (8, 8, 8))
    scales = arranged([Geometry((5, 5, 5), 1, "UINT8", pixels), finest])
    assert scales.finest == 1
    assert scales.places[place] == 0  # type: ignore[index]
