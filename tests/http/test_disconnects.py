"""Clients that leave at any moment of a change: it is done or not done, in memory as in the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer, running
from dvid_core.testing.wire import connect, http_request

MOMENTS = range(0, 60, 2)
"""After so many turns of the event loop, which the server runs on too, the client is gone."""


@pytest.fixture
async def lasting(plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running("rocksdb", tmp_path, plugins=plugins) as found:
        yield found


async def leave(server: RunningServer, method: str, path: str, body: Any, moment: int) -> None:
    """Send a request and close the connection so many turns later; return when the server is done with it."""
    async with connect(server.url) as wire:
        await wire.send(http_request(method, path, msgspec.json.encode(body)))
        for _ in range(moment):
            await asyncio.sleep(0)

    async def idle() -> bool:
        return server.server.traffic.active == 0

    await eventually(idle)


async def agree(server: RunningServer) -> None:
    """What the server shows must be what a new start reads from the store."""
    before = await server.get("/api/repos/info")
    await server.restart()
    assert await server.get("/api/repos/info") == before


CHANGES: dict[str, tuple[str, str, Any]] = {
    "newversion": ("POST", "/api/node/{uuid}:b{n}/newversion", {}),
    "branch": ("POST", "/api/node/{uuid}/branch", {"branch": "c{n}"}),
    "tag": ("POST", "/api/node/{uuid}/tag", {"tag": "v{n}"}),
    "commit": ("POST", "/api/node/{uuid}:open{n}/commit", {"note": "done", "log": ["line"]}),
    "note": ("POST", "/api/node/{open}/note", {"note": "note {n}"}),
    "log": ("POST", "/api/node/{open}/log", {"log": ["line {n}"]}),
    "info": ("POST", "/api/repo/{open}/info", {"alias": "alias {n}"}),
    "instance": ("POST", "/api/repo/{open}/instance", {"typename": "keyvalue", "dataname": "new{n}"}),
    "tags": ("POST", "/api/node/{open}/kv0/tags", {"t{n}": "1"}),
    "rename": ("POST", "/api/repo/{open}/rename?admintoken=secret", {"from": "kv{n}", "to": "renamed{n}"}),
    "delete": ("DELETE", "/api/repo/{open}/instance/kv{n}?admintoken=secret", {}),
    "repos": ("POST", "/api/repos?admintoken=secret", {"alias": "repo {n}"}),
    "merge": (
        "POST",
        "/api/repo/{uuid}/merge",
        {"mergeType": "conflict-free", "parents": ["{uuid}:b{n}", "{uuid}:b0"]},
    ),
}


def filled(value: Any, **names: Any) -> Any:
    if isinstance(value, dict):
        return {filled(k, **names): filled(v, **names) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, **names) for v in value]
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("change", CHANGES)
async def test_memory_and_store_agree_whenever_a_client_leaves(lasting: RunningServer, change: str) -> None:
    server, (method, path, body) = lasting, CHANGES[change]
    uuid, opened = await server.repo(), await server.repo()
    await server.commit(uuid)
    for n in MOMENTS:
        if ":b" in path or change == "merge":
            await server.commit(await server.branch(uuid, f"b{n}"))
        if ":open" in path:
            await server.branch(uuid, f"open{n}")
        if "kv" in str((path, body)):
            await server.instance(opened, f"kv{n}")
    for n in MOMENTS:
        names = {"uuid": uuid, "open": opened, "n": n}
        await leave(server, method, filled(path, **names), filled(body, **names), n)
    await agree(server)
    async with asyncio.timeout(20):
        await server.post(f"/api/node/{opened}/note", json={"note": "no lock is left behind"})
        await server.branch(uuid, "after")


async def test_a_child_that_nobody_waited_for_is_not_made_twice(lasting: RunningServer) -> None:
    server = lasting
    root = await server.repo()
    await server.commit(root)
    for n in MOMENTS:
        parent = await server.branch(root, f"b{n}")
        await server.commit(parent)
        await leave(server, "POST", f"/api/node/{parent}/newversion", {}, n)
        await server.ask("POST", f"/api/node/{parent}/newversion", json={})
    await server.restart()
    nodes = await server.nodes(root)
    assert {len(node["Children"]) for uuid, node in nodes.items() if uuid != root} <= {0, 1}


async def test_values_are_whole_or_absent_whenever_a_client_leaves(lasting: RunningServer) -> None:
    server = lasting
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    value = msgspec.json.encode("x" * 200_000)
    for n in MOMENTS:
        await leave(server, "POST", f"{place}/key/{n}", "x" * 200_000, n)
    before = await server.get(f"{place}/keys")
    logged = sorted(m["Key"] for m in await server.get(f"{place}/mutations"))
    assert logged == before
    await server.restart()
    assert await server.get(f"{place}/keys") == before
    for key in before:
        assert await server.get(f"{place}/key/{key}") == value
    await server.commit(uuid)
