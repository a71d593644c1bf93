"""SIGKILL in a storm of edits: what was acknowledged is there, nothing is there by half, no number is given twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dvid_core.testing.process import ServerProcess, process_of

CLIENTS = 16
BATCH = 20
"""Cells of one edit."""


async def kill_under(api: ServerProcess, clients: list[asyncio.Task[None]]) -> None:
    """End the server while it works for `clients`, which are still connected."""
    assert api.process is not None
    api.process.kill()
    await asyncio.gather(*clients)
    await api.kill()


class Storm:
    """Clients that write until the server is gone: single cells, large ones, and several cells in one edit."""

    def __init__(self, api: ServerProcess, place: str, round_: int) -> None:
        self.api, self.place, self.round = api, place, round_
        self.acknowledged: dict[str, str] = {}
        """Names of edits, and what they wrote."""
        self.begun: set[str] = set()
        self._enough = asyncio.Event()

    async def run_until(self, edits: int) -> None:
        """Kill the server when so many edits were acknowledged and others are under way."""
        clients = [asyncio.create_task(self._client(i, edits)) for i in range(CLIENTS)]
        await self._enough.wait()
        await kill_under(self.api, clients)

    async def _client(self, client: int, edits: int) -> None:
        n = 0
        while True:
            name, n = f"{self.round}-{client}-{n}", n + 1
            self.begun.add(name)
            text = name * (20_000 if n % 8 == 0 else 1)
            try:
                if client % 2:
                    await self.api.post(f"{self.place}/cell/{name}", text.encode())
                else:
                    await self.api.post(f"{self.place}/cells", json={f"{name}.{k}": text for k in range(BATCH)})
            except (aiohttp.ClientError, OSError):
                return
            self.acknowledged[name] = text
            if len(self.acknowledged) >= edits:
                self._enough.set()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with process_of(tmp_path, plugins=["dvid_core.testing.cells"]) as api:
        yield api


def edits_of(cells: dict[str, str]) -> dict[str, list[str]]:
    """The texts of the cells by the edit that wrote them."""
    found: dict[str, list[str]] = {}
    for name, text in cells.items():
        found.setdefault(name.partition(".")[0], []).append(text)
    return found


async def test_acknowledged_edits_are_there_and_none_is_there_by_half(api: ServerProcess) -> None:
    root = await api.repo()
    place = await api.instance(root, "cells", "cells")
    echo = await api.instance(root, "echo", "echo")
    await api.post(f"{echo}/sync", json={"sync": "cells"})
    acknowledged: dict[str, str] = {}
    begun: set[str] = set()
    ids: list[int] = []
    for round_, edits in enumerate((60, 200, 20)):
        storm = Storm(api, place, round_)
        await storm.run_until(edits)
        await api.start()
        acknowledged |= storm.acknowledged
        begun |= storm.begun
        found = edits_of(await api.get(f"{place}/cells"))
        assert acknowledged.keys() <= found.keys() <= begun
        for name, texts in found.items():
            assert len(texts) == (1 if int(name.split("-")[1]) % 2 else BATCH), f"edit {name} is there by half"
            assert set(texts) == {acknowledged.get(name, texts[0])}
        log: list[dict[str, Any]] = await api.get(f"{place}/mutations")
        assert Counter(entry["Names"][0].partition(".")[0] for entry in log) == dict.fromkeys(found, 1)
        new = [entry["MutationID"] for entry in log[len(ids) :]]
        assert len(set(new)) == len(new) and (not ids or min(new) > max(ids)), "a mutation id was given twice"
        ids += new
    await api.commit(root)
    names = {name for entry in log for name in entry["Names"]}
    assert await api.get(f"{echo}/counts") == dict.fromkeys(names, "1")


async def test_versions_made_by_the_dozen_while_the_server_is_killed_are_whole(api: ServerProcess) -> None:
    root = await api.repo()
    await api.instance(root, "cells", "cells")
    await api.commit(root)
    enough = asyncio.Event()
    made: dict[str, str] = {}

    async def client(i: int) -> None:
        n = 0
        while True:
            name, n = f"b-{i}-{n}", n + 1
            try:
                made[name] = uuid = await api.branch(root, name)
                await api.post(f"/api/node/{uuid}/cells/cell/a", name.encode())
                await api.commit(uuid)
            except (aiohttp.ClientError, OSError):
                return
            if len(made) > 40:
                enough.set()

    clients = [asyncio.create_task(client(i)) for i in range(8)]
    await enough.wait()
    await kill_under(api, clients)
    await api.start()
    nodes = await api.nodes(root)
    assert made.items() <= {node["Branch"]: uuid for uuid, node in nodes.items()}.items()
    assert sorted(nodes[root]["Children"]) == sorted(n["VersionID"] for u, n in nodes.items() if u != root)
    assert len({n["VersionID"] for n in nodes.values()}) == len(nodes)
    for uuid, node in nodes.items():
        cells = await api.get(f"/api/node/{uuid}/cells/cells")
        assert cells in ({}, {"a": node["Branch"]})
        assert cells or not node["Locked"] or uuid == root
        await api.post(f"/api/node/{uuid}/cells/cell/new", b"v", status=400 if node["Locked"] else 200)
    assert (await api.branch(root, "one more")) not in nodes
