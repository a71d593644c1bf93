"""Tags of versions: locked children named by a word."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer


async def committed(server: RunningServer) -> str:
    root = await server.repo()
    await server.commit(root)
    return root


async def test_a_tag_is_a_locked_version_named_by_it(server: RunningServer) -> None:
    root = await server.repo()
    place = await server.instance(root, "kv")
    await server.post(f"{place}/key/a", b"1")
    await server.commit(root)
    assert await server.post(f"/api/node/{root}/tag", json={"tag": "release-1", "note": "mine"}) == {
        "child": "release-1"
    }
    node = (await server.nodes(root))["release-1"]
    assert (node["Locked"], node["Branch"], node["Note"]) == (True, "tag-release-1", "mine")
    assert await server.get("/api/node/release-1/kv/key/a") == b"1"
    await server.post("/api/node/release-1/kv/key/a", b"2", status=400)


async def test_a_tag_without_a_note_says_whose_it_is(server: RunningServer) -> None:
    root = await committed(server)
    await server.post(f"/api/node/{root}/tag", json={"tag": "v1"})
    note = (await server.get("/api/node/v1/note"))["note"]
    assert root in note and "v1" in note


@pytest.mark.parametrize("tag", ["", 3, None, ["v"]])
async def test_a_tag_must_be_a_word(server: RunningServer, tag: Any) -> None:
    root = await committed(server)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/tag", json={"tag": tag}, status=400)
        await server.post(f"/api/node/{root}/tag", json={}, status=400)


async def test_a_tag_is_used_once_on_the_whole_server(server: RunningServer) -> None:
    root, other = await committed(server), await committed(server)
    await server.post(f"/api/node/{root}/tag", json={"tag": "v1"})
    for uuid in (root, other, "v1"):
        async with server.unchanged():
            await server.post(f"/api/node/{uuid}/tag", json={"tag": "v1", "note": "again"}, status=400)


async def test_the_uuid_of_a_version_cannot_be_a_tag(server: RunningServer) -> None:
    root, other = await committed(server), await server.repo()
    for uuid in (root, other):
        async with server.unchanged():
            await server.post(f"/api/node/{root}/tag", json={"tag": uuid}, status=400)


@pytest.mark.parametrize("tag", ["a:b", "a/b", ":", "a:"])
async def test_a_tag_that_no_request_could_name_is_refused(server: RunningServer, tag: str) -> None:
    root = await committed(server)
    async with server.unchanged():
        await server.post(f"/api/node/{root}/tag", json={"tag": tag}, status=400)


@pytest.mark.parametrize("tag", ["with blank", "ü", "v1.0-rc1", "~", "50%"])
async def test_a_tag_of_any_other_kind_is_reached(server: RunningServer, tag: str) -> None:
    from urllib.parse import quote

    root = await committed(server)
    await server.post(f"/api/node/{root}/tag", json={"tag": tag, "note": "found"})
    assert await server.get(f"/api/node/{quote(tag, safe='')}/note") == {"note": "found"}
