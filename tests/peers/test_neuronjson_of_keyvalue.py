"""A neuronjson instance takes in a keyvalue instance, each type being a plug-in of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import dvid_keyvalue
import dvid_neuronjson
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, running


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running("rocksdb", tmp_path, plugins=(dvid_keyvalue, dvid_neuronjson)) as found:
        yield found


async def test_annotations_come_over_as_one_version_has_them(server: RunningServer) -> None:
    uuid = await server.repo()
    old = await server.instance(uuid, "old")
    new = await server.instance(uuid, "new", "neuronjson")
    for body in (3, 20, 100):
        await server.post(f"{old}/key/{body}", json={"bodyid": body, "type": f"T{body}"})
    await server.delete(f"{old}/key/20")
    await server.post(f"{new}/import-keyvalue/old?u=ann")
    found = await server.get(f"{new}/all")
    assert sorted((a["bodyid"], a["type"]) for a in found) == [(3, "T3"), (100, "T100")]


async def test_an_instance_that_offers_no_pairs_is_refused(server: RunningServer) -> None:
    uuid = await server.repo()
    new = await server.instance(uuid, "new", "neuronjson")
    await server.instance(uuid, "other", "neuronjson")
    answer = await server.ask("POST", f"{new}/import-keyvalue/other")
    assert answer.status == 400
    assert "other" in answer.text
