"""Metadata: what can be set, and that a refusal changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

from .tiles import new_tiles, spec

GOOD = {"MinTileCoord": [0, 0, 0], "MaxTileCoord": [2, 1, 31], "Levels": spec(((8, 8, 8), (32, 32, 32)))}


def levels(*some: tuple[list[Any], list[Any]]) -> dict[str, Any]:
    return {"Levels": spec(*some)}


EIGHT = ([8, 8, 8], [32, 32, 32])

WRONG = {
    "no levels": {"Levels": {}},
    "levels missing": {"MinTileCoord": [0, 0, 0]},
    "a list": [1],
    "a name": {"Levels": {"a": GOOD["Levels"]["0"]}},  # type: ignore[index]
    "a gap": {"Levels": {"0": GOOD["Levels"]["0"], "2": GOOD["Levels"]["0"]}},  # type: ignore[index]
    "a leading zero": {"Levels": {"00": GOOD["Levels"]["0"]}},  # type: ignore[index]
    "a negative level": {"Levels": {"-0": GOOD["Levels"]["0"]}},  # type: ignore[index]
    "too many": {"Levels": {str(n): GOOD["Levels"]["0"] for n in range(257)}},  # type: ignore[index]
    "shrinking": levels(EIGHT, ([4, 8, 8], [32, 32, 32])),
    "no multiple": levels(EIGHT, ([18, 18, 18], [32, 32, 32])),
    "zero resolution": levels(([0, 8, 8], [32, 32, 32])),
    "negative resolution": levels(([-8, 8, 8], [32, 32, 32])),
    "two numbers": levels(([8, 8], [32, 32, 32])),
    "tile of nothing": levels(([8, 8, 8], [0, 32, 32])),
    "huge tile": levels(([8, 8, 8], [32, 32, 2**31])),
    "fraction of a pixel": levels(([8, 8, 8], [32, 32, 32.5])),
    "coordinates": {**GOOD, "MinTileCoord": [0, 0]},
    "wide coordinates": {**GOOD, "MinTileCoord": [0, 0, 2**31]},
}


@pytest.mark.parametrize("body", [pytest.param(v, id=k) for k, v in WRONG.items()])
async def test_wrong_metadata_are_refused_and_change_nothing(server: RunningServer, body: Any) -> None:
    tiles = await new_tiles(server)
    await server.post(tiles.path("metadata"), json=GOOD)
    answer = await tiles.ask("POST", "metadata", json=body)
    assert answer.status == 400
    assert await server.get(tiles.path("metadata")) == GOOD


@pytest.mark.parametrize("body", [b"", b"{", b'{"Levels": NaN}', b'{"Levels":' * 20_000])
async def test_what_is_no_json_is_refused(server: RunningServer, body: bytes) -> None:
    tiles = await new_tiles(server)
    assert (await tiles.ask("POST", "metadata", body)).status == 400
    assert (await tiles.ask("GET", "metadata")).status == 400


async def test_metadata_are_one_for_all_versions_and_guarded_by_the_commit(server: RunningServer) -> None:
    tiles = await new_tiles(server)
    child = await tiles.child()
    assert (await tiles.ask("POST", "metadata", json=GOOD)).status == 400
    await server.post(child.path("metadata"), json=GOOD)
    assert await server.get(tiles.path("metadata")) == GOOD
    assert (await server.get(tiles.path("info")))["Extended"]["MaxTileCoord"] == [2, 1, 31]


@pytest.mark.parametrize(
    "settings", [{"Format": "gif"}, {"Format": "png", "Compression": "lz4"}, {"Placeholder": "maybe"}, {"Source": 5}]
)
async def test_wrong_settings_are_refused(server: RunningServer, settings: dict[str, Any]) -> None:
    uuid = await server.repo()
    body = {"typename": "imagetile", "dataname": "t", **settings}
    assert (await server.ask("POST", f"/api/repo/{uuid}/instance", json=body)).status == 400
