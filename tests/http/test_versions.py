"""Making versions: newversion, branch, commit, their notes and logs."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

UUID = "0123456789abcdef0123456789abcdef"


async def test_the_first_version_can_be_given_a_uuid_once(server: RunningServer) -> None:
    assert await server.repo(root=UUID) == UUID
    async with server.unchanged():
        await server.post("/api/repos", json={"root": UUID}, admin=True, status=400)


@pytest.mark.parametrize(
    "root", ["", "abc", UUID[:-1], UUID + "0", "g" * 32, UUID[:-1] + "\n", UUID[:-1] + "\u0661", 3, None]
)
async def test_a_root_that_is_no_uuid_is_refused(server: RunningServer, root: Any) -> None:
    async with server.unchanged():
        await server.post("/api/repos", json={"root": root}, admin=True, status=400)


@pytest.mark.parametrize("action", ["newversion", "branch"])
async def test_a_uuid_that_exists_is_refused_for_a_child(server: RunningServer, action: str) -> None:
    root, other = await server.repo(), await server.repo()
    await server.commit(root)
    await server.post(f"/api/node/{root}/tag", json={"tag": UUID})
    for taken in (root, other, UUID):
        async with server.unchanged():
            await server.post(f"/api/node/{root}/{action}", json={"branch": "b", "uuid": taken}, status=400)


@pytest.mark.parametrize("action", ["newversion", "branch"])
@pytest.mark.parametrize("uuid", ["", "abc", "x" * 32, 7, None, UUID + "\n"])
async def test_a_uuid_that_is_none_is_refused_for_a_child(server: RunningServer, action: str, uuid: Any) -> None:
    root = await server.repo()
    await server.commit(root)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/{action}", json={"branch": "b", "uuid": uuid}, status=400)


async def test_a_refused_uuid_leaves_the_next_one_free(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    await server.post(f"/api/node/{root}/newversion", json={"uuid": root}, status=400)
    assert await server.newversion(root, uuid=UUID) == UUID


@pytest.mark.parametrize("action", ["newversion", "branch", "tag"])
async def test_an_open_version_has_no_children(server: RunningServer, action: str) -> None:
    root = await server.repo()
    async with server.unchanged():
        await server.post(f"/api/node/{root}/{action}", json={"branch": "b", "tag": "t"}, status=400)
        await server.post(f"/api/node/{root}/{action}", json={"branch": "b", "tag": "t"}, admin=True, status=400)


async def test_a_version_has_one_child_per_branch(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    child = await server.newversion(root)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/newversion", json={}, status=400)
    side = await server.branch(root, "side")
    async with server.unchanged():
        await server.post(f"/api/node/{root}/branch", json={"branch": "side"}, status=400)
    nodes = await server.nodes(root)
    assert nodes[root]["Children"] == [nodes[child]["VersionID"], nodes[side]["VersionID"]]
    assert (nodes[child]["Branch"], nodes[side]["Branch"]) == ("", "side")


@pytest.mark.parametrize(
    "body", [{}, {"branch": ""}, {"branch": "master"}, {"branch": 3}, {"branch": None}, {"note": "n"}]
)
async def test_a_branch_needs_a_name_of_its_own(server: RunningServer, body: dict[str, Any]) -> None:
    root = await server.repo()
    await server.commit(root)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/branch", json=body, status=400)


async def test_a_branch_name_is_used_once_in_a_repo(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    side = await server.branch(root, "side")
    child = await server.newversion(root)
    await server.commit(child)
    async with server.unchanged():
        await server.post(f"/api/node/{child}/branch", json={"branch": "side"}, status=400)
    await server.commit(side)
    # The name of the parent's own branch is the same as newversion.
    child = await server.branch(side, "side")
    assert (await server.nodes(root))[child]["Branch"] == "side"


@pytest.mark.parametrize("body", [b"", b"{}", b" \n"])
async def test_commit_and_newversion_accept_a_missing_body(server: RunningServer, body: bytes) -> None:
    root = await server.repo()
    await server.post(f"/api/node/{root}/commit", body)
    assert await server.get(f"/api/node/{root}/status") == {"Locked": True}
    await server.post(f"/api/node/{root}/newversion", body)


async def test_a_commit_takes_a_note_unless_it_is_empty(server: RunningServer) -> None:
    root = await server.repo()
    await server.post(f"/api/node/{root}/note", json={"note": "kept"})
    assert await server.post(f"/api/node/{root}/commit", json={"note": "", "log": ["a", "b"]}) == {"committed": root}
    assert await server.get(f"/api/node/{root}/note") == {"note": "kept"}
    log = (await server.get(f"/api/node/{root}/log"))["log"]
    assert [line.partition("  ")[2] for line in log] == ["a", "b"]
    child = await server.newversion(root, note="old")
    await server.commit(child, note="new")
    assert await server.get(f"/api/node/{child}/note") == {"note": "new"}


@pytest.mark.parametrize("body", [{"note": 3}, {"log": "text"}, {"log": [1]}, {"log": {}}, {"note": None}, [1], "text"])
async def test_a_malformed_commit_locks_nothing(server: RunningServer, body: Any) -> None:
    root = await server.repo()
    async with server.unchanged():
        await server.post(f"/api/node/{root}/commit", json=body, status=400)


async def test_a_committed_version_is_not_committed_again(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/commit", json={"note": "again"}, status=400)
        await server.post(f"/api/node/{root}/commit", json={"note": "again"}, admin=True, status=400)


@pytest.mark.parametrize("place", ["/api/node/{}/note", "/api/node/{}/log", "/api/repo/{}/log"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"other": "x"}', b'{"note": 3, "log": 3}', b'{"note": null, "log": [1]}', b"[]", b"{", b'"x"'],
)
async def test_a_note_or_log_without_its_key_changes_nothing(server: RunningServer, place: str, body: bytes) -> None:
    root = await server.repo()
    await server.post(f"/api/node/{root}/note", json={"note": "kept"})
    async with server.unchanged():
        await server.post(place.format(root), body, status=400)


async def test_a_log_line_is_shown_as_it_was_given(server: RunningServer) -> None:
    root = await server.repo()
    lines = ["", "ä <&> \u2028", "two\nlines", "  blanks  "]
    for place in (f"/api/repo/{root}/log", f"/api/node/{root}/log"):
        await server.post(place, json={"log": lines})
        await server.post(place, json={"log": []})
        shown = (await server.get(place))["log"]
        assert [line.partition("  ")[2] for line in shown] == lines


async def test_versions_hang_together(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    for name in ("x", "y", "z"):
        await server.commit(await server.branch(root, name))
    await server.merge(f"{root}:x", f"{root}:y", f"{root}:z")
    nodes = await server.nodes(root)
    ids = {node["VersionID"]: node for node in nodes.values()}
    assert len(ids) == len(nodes) == 5
    for uuid, node in nodes.items():
        assert node["UUID"] == uuid
        assert bool(node["Parents"]) == (uuid != root)
        assert all(node["VersionID"] in ids[p]["Children"] and p < node["VersionID"] for p in node["Parents"])
        assert all(node["VersionID"] in ids[c]["Parents"] for c in node["Children"])
