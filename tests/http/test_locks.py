"""What a committed version lets through, and what an admin or a full-write server may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer, running

WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/node/{}/note", {"note": "lost"}),
    ("POST", "/api/node/{}/log", {"log": ["lost"]}),
    ("POST", "/api/repo/{}/instance", {"typename": "keyvalue", "dataname": "lost"}),
    ("POST", "/api/node/{}/kv/key/a", "lost"),
    ("DELETE", "/api/node/{}/kv/key/a", None),
    ("POST", "/api/node/{}/kv/tags", {"a": "lost"}),
]
"""Refused on a committed version."""

UNKNOWN: list[tuple[str, str, Any]] = [
    ("PUT", "/api/node/{}/note", {"note": "lost"}),
    ("DELETE", "/api/node/{}/note", None),
    ("POST", "/api/node/{}/kv/keys", "lost"),
    ("PUT", "/api/node/{}/kv/key/a", "lost"),
    ("PATCH", "/api/node/{}/kv/key/a", "lost"),
    ("POST", "/api/node/{}/kv/info", {}),
]
"""Never done, committed or not."""


@pytest.fixture
async def locked(server: RunningServer) -> str:
    """A committed version with key a of the instance kv, and an unversioned instance."""
    uuid = await server.repo()
    await server.post(f"{await server.instance(uuid, 'kv')}/key/a", b"1")
    await server.instance(uuid, "plain", versioned=False)
    await server.commit(uuid)
    return uuid


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_a_committed_version_refuses_writes(
    server: RunningServer, locked: str, method: str, path: str, body: Any
) -> None:
    async with server.unchanged():
        answer = await server.ask(method, path.format(locked), json=body)
        assert answer.status == 400
        assert "committed" in answer.text
    assert await server.get(f"/api/node/{locked}/kv/key/a") == b"1"
    assert [m["Action"] for m in await server.get(f"/api/node/{locked}/kv/mutations")] == ["postkv"]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_the_admin_may_write_a_committed_version(
    server: RunningServer, locked: str, method: str, path: str, body: Any
) -> None:
    await server.demand(method, path.format(locked), json=body, admin=True)


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN)
async def test_methods_that_no_route_names_are_refused(
    server: RunningServer, locked: str, method: str, path: str, body: Any
) -> None:
    async with server.unchanged():
        for admin in (False, True):
            answer = await server.ask(method, path.format(locked), json=body, admin=admin)
            assert answer.status in (400, 404, 405)
    assert await server.get(f"/api/node/{locked}/kv/key/a") == b"1"


async def test_what_is_allowed_on_a_committed_version(server: RunningServer, locked: str) -> None:
    await server.post(f"/api/repo/{locked}/info", json={"alias": "renamed"})
    await server.post(f"/api/repo/{locked}/log", json={"log": ["line"]})
    reference = (await server.post(f"/api/node/{locked}/kv/blobstore", b"blob"))["reference"]
    assert await server.get(f"/api/node/{locked}/kv/blobstore/{reference}") == b"blob"
    await server.newversion(locked)
    await server.branch(locked, "b")
    await server.post(f"/api/node/{locked}/tag", json={"tag": "t"})
    assert (await server.repo_info(locked))["Alias"] == "renamed"


async def test_an_unversioned_instance_is_written_whatever_version_is_named(server: RunningServer, locked: str) -> None:
    child = await server.newversion(locked)
    await server.post(f"/api/node/{locked}/plain/key/a", b"from the root")
    assert await server.get(f"/api/node/{child}/plain/key/a") == b"from the root"
    await server.post(f"/api/node/{child}/plain/key/a", b"from the child")
    assert await server.get(f"/api/node/{locked}/plain/key/a") == b"from the child"
    await server.delete(f"/api/node/{locked}/plain/key/a")
    await server.get(f"/api/node/{child}/plain/key/a", status=404)
    mutations = await server.get(f"/api/node/{child}/plain/mutations")
    assert [(m["Action"], m["UUID"]) for m in mutations] == [("postkv", locked), ("postkv", locked), ("delete", locked)]


@pytest.mark.parametrize(
    "path",
    [
        "/api/node/{}/kv/key/a",
        "/api/node/{}/note",
        "/api/node/{}/commit",
        "/api/repo/{}/merge",
        "/api/repo/{}/info",
        "/api/node/{}/kv/nosuch",
        "/api/node/{}/nosuch/x",
        "/api/help",
        "/nosuch",
        "/api/node/0123/x",
    ],
)
@pytest.mark.parametrize("committed", [True, False])
async def test_options_never_reaches_a_handler(server: RunningServer, path: str, committed: bool) -> None:
    uuid = await server.repo()
    await server.post(f"{await server.instance(uuid, 'kv')}/key/a", b"1")
    if committed:
        await server.commit(uuid)
    async with server.unchanged():
        answer = await server.ask("OPTIONS", path.format(uuid), b'{"note": "lost", "alias": "lost"}')
        assert answer.status in (200, 204)
        assert answer.body == b""
        assert {"GET", "POST", "OPTIONS"} <= {m.strip() for m in answer.headers["Allow"].split(",")}
    assert await server.get(f"/api/node/{uuid}/kv/key/a") == b"1"


async def test_a_full_write_server_opens_committed_versions(
    engine: str, plugins: Sequence[ModuleType], tmp_path: Path
) -> None:
    async with running(engine, tmp_path, plugins=plugins, rwmode="fullwrite") as server:
        uuid = await server.repo()
        await server.instance(uuid, "kv")
        await server.commit(uuid)
        for method, path, body in WRITES:
            await server.demand(method, path.format(uuid), json=body)
        await server.post(f"/api/node/{uuid}/commit", json={}, status=400)
        assert (await server.get("/api/server/info"))["Mode"] == "allow writes on committed nodes"


async def test_a_write_to_a_committed_parent_by_the_admin_is_seen_below(server: RunningServer, locked: str) -> None:
    child = await server.newversion(locked)
    await server.post(f"/api/node/{locked}/kv/key/a", b"2", admin=True)
    assert await server.get(f"/api/node/{child}/kv/key/a") == b"2"
