"""What a server knows after it was stopped and started again over the same store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from dvid_core.testing.fixtures import RunningServer, running

LARGE = bytes(range(256)) * 5000


@pytest.fixture
async def lasting(plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running("rocksdb", tmp_path, plugins=plugins) as found:
        yield found


async def grown(server: RunningServer) -> str:
    """A repo with all that metadata can hold."""
    root = await server.repo(alias="ä", description="d", passcode="p")
    await server.instance(root, "kv", Compression="gzip:3", Checksum="crc32", Tags="a=1")
    await server.instance(root, "plain", versioned=False)
    await server.post(f"/api/node/{root}/kv/key/a", b"root")
    await server.post(f"/api/node/{root}/kv/key/large", LARGE)
    await server.post(f"/api/node/{root}/plain/key/p", b"plain")
    await server.post(f"/api/repo/{root}/log", json={"log": ["one", "two"]})
    await server.post(f"/api/node/{root}/log", json={"log": ["three"]})
    await server.commit(root, note="first", log=["four"])
    left, right = await server.newversion(root, note="left"), await server.branch(root, "side/ways", note="right")
    await server.post(f"/api/node/{left}/kv/key/a", b"left")
    await server.delete(f"/api/node/{right}/kv/key/a")
    await server.post(f"/api/node/{right}/kv/key/b", b"right")
    for uuid in (left, right):
        await server.commit(uuid)
    await server.post(f"/api/node/{left}/tag", json={"tag": "v1", "note": "tagged"})
    merged = await server.merge(left, right, note="both")
    await server.post(f"/api/node/{merged}/kv/key/c", b"merged")
    return merged


async def test_everything_is_as_before(lasting: RunningServer) -> None:
    server = lasting
    merged = await grown(server)
    await server.repo(alias="empty")
    paths = ["/api/repos/info", f"/api/repo/{merged}/log", f"/api/repo/{merged}/branch-versions/master",
             f"/api/node/{merged}:side%2Fways/log", "/api/node/v1/note", f"/api/node/{merged}/kv/info"]  # fmt: skip
    for version in (merged, f"{merged}:side%2Fways", f"{merged}:master~3", "v1"):
        for what in ("keys", "mutations", "key/a", "key/b", "key/large", "key/p", "tags"):
            paths += [f"/api/node/{version}/{name}/{what}" for name in ("kv", "plain")]
    before = [await server.ask("GET", p) for p in paths]
    for _ in range(2):
        await server.restart()
        after = [await server.ask("GET", p) for p in paths]
        for path, old, new in zip(paths, before, after, strict=True):
            assert (old.status, old.body) == (new.status, new.body), path


async def test_what_was_refused_before_is_refused_after(lasting: RunningServer) -> None:
    server = lasting
    merged = await grown(server)
    await server.restart()
    async with server.unchanged():
        for uuid in ("v1", f"{merged}:side%2Fways", f"{merged}:master~3"):
            await server.post(f"/api/node/{uuid}/kv/key/a", b"lost", status=400)
            await server.post(f"/api/node/{uuid}/commit", json={}, status=400)
        await server.post(f"/api/node/{merged}/tag", json={"tag": "v1"}, status=400)
        await server.post(f"/api/repo/{merged}/instance", json={"typename": "keyvalue", "dataname": "kv"}, status=400)
        await server.delete(f"/api/repo/{merged}/instance/kv", admin=True, status=400)


async def test_versions_and_ids_go_on(lasting: RunningServer) -> None:
    server = lasting
    merged = await grown(server)
    before = await server.nodes(merged)
    await server.restart()
    await server.post(f"/api/node/{merged}/kv/key/a", b"after")
    assert await server.get(f"/api/node/{merged}/kv/key/a") == b"after"
    mutations = await server.get(f"/api/node/{merged}/kv/mutations")
    assert [m["Key"] for m in mutations] == ["c", "a"]
    await server.commit(merged)
    child = await server.newversion(merged)
    after = await server.nodes(merged)
    assert after[child]["VersionID"] > max(n["VersionID"] for n in before.values())
    other = await server.repo()
    assert (await server.nodes(other))[other]["VersionID"] > after[child]["VersionID"]


async def test_mutation_ids_are_never_given_twice(lasting: RunningServer) -> None:
    server = lasting
    uuid = await server.repo()
    repo, _ = server.server.repos.find(uuid)
    given = [await repo.next_mutation_id() for _ in range(5)]
    shown = await server.repo_info(uuid)
    assert shown["MutationID"] == given[-1] + 1 <= shown["SavedMutationID"]
    await server.restart()
    repo, _ = server.server.repos.find(uuid)
    assert await repo.next_mutation_id() > given[-1]
    assert given[0] == 1_000_000_000


async def test_a_type_that_is_not_installed_any_more_keeps_its_data(
    plugins: Sequence[ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running("rocksdb", tmp_path, plugins=plugins) as server:
        uuid = await server.repo()
        await server.post(f"{await server.instance(uuid, 'kv')}/key/a", b"kept")
        info, everything = await server.repo_info(uuid), server.plugins
        await server.stop()
        monkeypatch.setattr("importlib.metadata.entry_points", lambda **group: ())
        server.plugins = everything[:1]
        await server.start()
        assert "keyvalue" not in server.server.types
        answer = await server.ask("GET", f"/api/node/{uuid}/kv/key/a")
        assert answer.status == 400
        assert "dvid-keyvalue" in answer.text
        assert (await server.repo_info(uuid))["DataInstances"].keys() == {"kv"}
        assert await server.get("/api/server/types") == {"keyvalue": ""}
        await server.post(f"/api/repo/{uuid}/instance", json={"typename": "keyvalue", "dataname": "x"}, status=400)
        monkeypatch.undo()
        await server.stop()
        server.plugins = everything
        await server.start()
        assert await server.repo_info(uuid) == info
        assert await server.get(f"/api/node/{uuid}/kv/key/a") == b"kept"
