"""A read-only server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer, running

CHILD = "0123456789abcdef0123456789abcdef"

WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repo/{0}/info", {"alias": "lost"}),
    ("POST", "/api/repo/{0}/log", {"log": ["lost"]}),
    ("POST", "/api/repo/{0}/instance", {"typename": "keyvalue", "dataname": "lost"}),
    ("POST", "/api/repo/{0}/merge", {"mergeType": "conflict-free", "parents": ["{0}", "{1}"]}),
    ("POST", "/api/node/{0}/newversion", {"uuid": CHILD}),
    ("POST", "/api/node/{0}/branch", {"branch": "lost"}),
    ("POST", "/api/node/{0}/tag", {"tag": "lost"}),
    ("POST", "/api/node/{1}/note", {"note": "lost"}),
    ("POST", "/api/node/{1}/log", {"log": ["lost"]}),
    ("POST", "/api/node/{1}/commit", {}),
    ("POST", "/api/node/{1}/kv/key/a", "lost"),
    ("DELETE", "/api/node/{1}/kv/key/a", None),
    ("POST", "/api/node/{1}/kv/tags", {"a": "lost"}),
    ("POST", "/api/node/{1}/kv/blobstore", "lost"),
    ("POST", "/api/node/{1}/plain/key/a", "lost"),
]


class Place:
    """A read-only server with a committed version and its open child."""

    def __init__(self, server: RunningServer, locked: str, opened: str) -> None:
        self.server, self.locked, self.opened = server, locked, opened


@pytest.fixture
async def readonly(plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[Place]:
    async with running("rocksdb", tmp_path, plugins=plugins) as server:
        locked = await server.repo()
        await server.post(f"{await server.instance(locked, 'kv')}/key/a", b"1")
        await server.instance(locked, "plain", versioned=False)
        await server.commit(locked)
        opened = await server.branch(locked, "side")
        await server.restart(rwmode="readonly")
        yield Place(server, locked, opened)


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_a_read_only_server_refuses_writes(readonly: Place, method: str, path: str, body: Any) -> None:
    server = readonly.server
    async with server.unchanged():
        answer = await server.ask(method, path.format(readonly.locked, readonly.opened), json=body)
        assert answer.status == 400
        assert "read-only" in answer.text
    assert await server.get(f"/api/node/{readonly.opened}/kv/key/a") == b"1"
    await server.get(f"/api/node/{readonly.opened}/plain/key/a", status=404)


async def test_a_read_only_server_answers_reads(readonly: Place) -> None:
    server, uuid = readonly.server, readonly.opened
    assert await server.get(f"/api/node/{uuid}/kv/key/a") == b"1"
    await server.head(f"/api/node/{uuid}/kv/key/a")
    await server.head(f"/api/repo/{uuid}")
    assert await server.get(f"/api/node/{uuid}/status") == {"Locked": False}
    assert (await server.get("/api/server/info"))["Mode"] == "read only"
    assert (await server.ask("OPTIONS", f"/api/node/{uuid}/kv/key/a")).status in (200, 204)


async def test_the_admin_may_write_to_a_read_only_server(readonly: Place) -> None:
    server = readonly.server
    await server.post(f"/api/node/{readonly.opened}/kv/key/a", b"2", admin=True)
    await server.post(f"/api/node/{readonly.opened}/note", json={"note": "n"}, admin=True)
    assert await server.get(f"/api/node/{readonly.opened}/kv/key/a") == b"2"


async def test_nobody_makes_repos_on_a_read_only_server(readonly: Place) -> None:
    async with readonly.server.unchanged():
        await readonly.server.post("/api/repos", json={"alias": "lost"}, admin=True, status=400)


async def test_server_routes_work_on_a_read_only_server(readonly: Place) -> None:
    await readonly.server.post("/api/server/settings", json={"throttle": "3"}, admin=True)
    await readonly.server.post("/api/server/reload-blocklist", admin=True)
