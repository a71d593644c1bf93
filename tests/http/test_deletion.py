"""Renaming and deleting instances and repos by HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dvid_core.keys import Meta, instance_ranges, u32
from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer, running

LARGE = bytes(range(256)) * 1024


async def filled(server: RunningServer, name: str = "kv", **repo: str) -> str:
    """A repo with one instance that holds a small and a large value."""
    uuid = await server.repo(**repo)
    await fill(server, uuid, name)
    return uuid


async def fill(server: RunningServer, uuid: str, name: str = "kv") -> None:
    place = await server.instance(uuid, name)
    await server.post(f"{place}/key/small", b"1")
    await server.post(f"{place}/key/large", LARGE)


async def stored(server: RunningServer, instance: int) -> int:
    """How many keys the store holds for an instance."""
    found = 0
    for start, stop in instance_ranges(instance):
        async for page in server.server.stores["default"].scan(start, stop):
            found += len(page)
    return found


def id_of(server: RunningServer, uuid: str, name: str) -> int:
    repo, _ = server.server.repos.find(uuid)
    return repo.instance(name).id


async def test_a_deleted_instance_is_gone_and_its_name_is_free(server: RunningServer) -> None:
    uuid = await filled(server)
    number = id_of(server, uuid, "kv")
    before = (await server.get(f"/api/node/{uuid}/kv/info"))["Base"]["DataUUID"]
    await server.delete(f"/api/repo/{uuid}/instance/kv", admin=True)
    await server.get(f"/api/node/{uuid}/kv/key/small", status=400)
    assert (await server.repo_info(uuid))["DataInstances"] == {}
    await server.instance(uuid, "kv")
    assert await server.get(f"/api/node/{uuid}/kv/keys") == []
    assert (await server.get(f"/api/node/{uuid}/kv/info"))["Base"]["DataUUID"] != before

    async def empty() -> bool:
        return await stored(server, number) == 0

    await eventually(empty)
    assert any("kv" in line for line in (await server.get(f"/api/repo/{uuid}/log"))["log"])


@pytest.mark.parametrize("committed", [True, False])
async def test_an_instance_is_deleted_whatever_version_is_named(server: RunningServer, committed: bool) -> None:
    uuid = await filled(server)
    await server.commit(uuid)
    child = await server.newversion(uuid)
    await server.delete(f"/api/repo/{uuid if committed else child}/instance/kv", admin=True)
    await server.get(f"/api/node/{uuid}/kv/keys", status=400)


@pytest.mark.parametrize("path", ["/api/repo/{}/instance/nosuch", "/api/repo/{}/instance/", "/api/repo/{}/instance/KV"])
async def test_deleting_what_is_not_there_is_refused(server: RunningServer, path: str) -> None:
    uuid = await filled(server)
    async with server.unchanged():
        answer = await server.ask("DELETE", path.format(uuid), admin=True)
        assert answer.status in (400, 404)


async def test_a_passcode_protects_a_repo(server: RunningServer) -> None:
    uuid = await filled(server, passcode="open sesame")
    assert "sesame" not in str(await server.repo_info(uuid))
    async with server.unchanged():
        for query in ("", "?passcode=", "?passcode=wrong"):
            await server.delete(f"/api/repo/{uuid}{query}", admin=True, status=400)
            await server.delete(f"/api/repo/{uuid}/instance/kv{query}", admin=True, status=400)
        for body in ({"from": "kv", "to": "x"}, {"from": "kv", "to": "x", "passcode": "wrong"},
                     {"from": "kv", "to": "x", "passcode": 3}):  # fmt: skip
            await server.post(f"/api/repo/{uuid}/rename", json=body, admin=True, status=400)
    await server.post(f"/api/repo/{uuid}/rename", json={"from": "kv", "to": "x", "passcode": "open sesame"}, admin=True)
    await server.delete(f"/api/repo/{uuid}/instance/x?passcode=open+sesame", admin=True)
    await server.delete(f"/api/repo/{uuid}?passcode=open%20sesame", admin=True)
    assert await server.get("/api/repos/info") == {}


async def test_a_renamed_instance_keeps_its_identity_and_data(server: RunningServer) -> None:
    uuid = await filled(server)
    before = (await server.get(f"/api/node/{uuid}/kv/info"))["Base"]
    await server.post(f"/api/repo/{uuid}/rename", json={"from": "kv", "to": "new name"}, admin=True)
    after = (await server.get(f"/api/node/{uuid}/new%20name/info"))["Base"]
    assert after == {**before, "Name": "new name"}
    assert await server.get(f"/api/node/{uuid}/new%20name/key/large") == LARGE
    await server.get(f"/api/node/{uuid}/kv/key/small", status=400)
    await server.instance(uuid, "kv")


@pytest.mark.parametrize("body", [{"from": "kv", "to": "other"}, {"from": "kv", "to": ""}, {"from": "kv", "to": "a/b"},
                                  {"from": "kv", "to": "log"}, {"from": "kv", "to": ".."}, {"from": "nosuch",
                                  "to": "x"},
                                  {"from": "kv"}, {"to": "x"}, {"from": 1, "to": "x"}, {"from": "kv", "to": None},
                                  []])  # fmt: skip
async def test_a_rename_that_cannot_be_is_refused(server: RunningServer, body: Any) -> None:
    uuid = await filled(server)
    await fill(server, uuid, "other")
    async with server.unchanged():
        await server.post(f"/api/repo/{uuid}/rename", json=body, admin=True, status=400)


async def test_a_repo_is_deleted_by_its_root_and_its_uuids_vanish(server: RunningServer) -> None:
    uuid, kept = await filled(server), await filled(server)
    await server.commit(uuid)
    child = await server.newversion(uuid)
    await server.post(f"/api/node/{uuid}/tag", json={"tag": "v1"})
    number = id_of(server, uuid, "kv")
    async with server.unchanged():
        for name in (child, "v1", f"{uuid}:master"):
            await server.delete(f"/api/repo/{name}", admin=True, status=400)
    await server.delete(f"/api/repo/{uuid}", admin=True)
    for name in (uuid, child, "v1"):
        await server.get(f"/api/node/{name}/status", status=400)
        await server.head(f"/api/repo/{name}", status=400)
    assert list(await server.get("/api/repos/info")) == [kept]
    assert await server.get(f"/api/node/{kept}/kv/key/small") == b"1"

    async def empty() -> bool:
        return await stored(server, number) == 0

    await eventually(empty)
    assert await server.repo(root=uuid) == uuid


async def test_a_prefix_does_not_delete_a_repo(server: RunningServer) -> None:
    uuid = await filled(server)
    async with server.unchanged():
        await server.delete(f"/api/repo/{uuid[:8]}", admin=True, status=400)


async def test_what_was_deleted_stays_away_after_a_restart(plugins: Sequence[ModuleType], tmp_path: Path) -> None:
    async with running("rocksdb", tmp_path, plugins=plugins) as server:
        gone, uuid = await filled(server), await filled(server)
        await fill(server, uuid, "second")
        numbers = [id_of(server, gone, "kv"), id_of(server, uuid, "kv")]
        await server.delete(f"/api/repo/{gone}", admin=True)
        await server.delete(f"/api/repo/{uuid}/instance/kv", admin=True)
        await server.post(f"/api/repo/{uuid}/rename", json={"from": "second", "to": "renamed"}, admin=True)
        before = await server.get("/api/repos/info")
        await server.restart()
        assert await server.get("/api/repos/info") == before
        assert list(before[uuid]["DataInstances"]) == ["renamed"]
        assert await server.get(f"/api/node/{uuid}/renamed/key/large") == LARGE

        async def empty() -> bool:
            return [await stored(server, n) for n in numbers] == [0, 0]

        await eventually(empty)


async def test_an_edit_under_way_when_its_instance_is_deleted_leaves_no_data(server: RunningServer) -> None:
    uuid = await filled(server)
    number = id_of(server, uuid, "kv")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> Any:
        yield LARGE
        begun.set()
        await go_on.wait()
        yield LARGE

    upload = asyncio.ensure_future(server.ask("POST", f"/api/node/{uuid}/kv/key/late", body()))
    await begun.wait()
    await server.delete(f"/api/repo/{uuid}/instance/kv", admin=True)

    async def empty() -> bool:
        return await stored(server, number) == 0

    await eventually(empty)
    go_on.set()
    assert (await upload).status == 400
    await eventually(empty)


async def test_a_repo_that_is_deleted_meanwhile_is_not_brought_back(server: RunningServer) -> None:
    """Requests that wait for the repo while it is deleted must not store metadata of it again."""
    uuid, kept = await server.repo(), await server.repo()
    await server.commit(uuid)
    repo, _ = server.server.repos.find(uuid)
    requests: list[tuple[str, str, Any]] = [
        ("DELETE", f"/api/repo/{uuid}?admintoken=secret", None),
        ("POST", f"/api/repo/{uuid}/log", {"log": ["late"]}),
        ("POST", f"/api/repo/{uuid}/info", {"alias": "late"}),
        ("POST", f"/api/node/{uuid}/newversion", {}),
        ("POST", f"/api/node/{uuid}/branch", {"branch": "late"}),
        ("POST", f"/api/node/{uuid}/tag", {"tag": "late"}),
        ("POST", f"/api/repo/{uuid}/instance?admintoken=secret", {"typename": "keyvalue", "dataname": "late"}),
    ]
    async with repo.lock():
        waiting = [asyncio.ensure_future(server.ask(m, path, json=body)) for m, path, body in requests]

        async def all_here() -> bool:
            return server.server.traffic.active == len(requests)

        await eventually(all_here)
    answers = await asyncio.gather(*waiting)
    assert all(a.status in (200, 400) for a in answers)
    assert answers[0].status == 200
    assert list(await server.get("/api/repos/info")) == [kept]
    for space in (Meta.REPO, Meta.NODE, Meta.INSTANCE, Meta.LOG_LINE):
        async for page in server.server.meta.scan(*space.range(u32(repo.id))):
            raise AssertionError(f"{space.name} of a deleted repo is stored: {page}")
    await server.post(f"/api/node/{kept}/tag", json={"tag": "late"}, status=400)
    await server.get("/api/node/late/status", status=400)
