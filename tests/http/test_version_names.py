"""How requests name a version: UUIDs, prefixes, branches."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from dvid_core.testing.fixtures import RunningServer

ROOT = "a0" * 16
OTHER = "a1" * 16


async def same_version(server: RunningServer, name: str, uuid: str) -> None:
    """Write a note by one name and read it by the other."""
    await server.post(f"/api/node/{name}/note", json={"note": f"written as {name}"})
    assert await server.get(f"/api/node/{uuid}/note") == {"note": f"written as {name}"}


async def test_a_prefix_names_the_only_version_that_begins_so(server: RunningServer) -> None:
    root = await server.repo(root=ROOT)
    await server.repo(root=OTHER)
    await same_version(server, "a0", root)
    async with server.unchanged():
        await server.post("/api/node/a/note", json={"note": "lost"}, status=400)
        await server.post("/api/node/b/note", json={"note": "lost"}, status=400)


async def test_names_are_case_sensitive(server: RunningServer) -> None:
    await server.repo(root=ROOT)
    await server.get(f"/api/node/{ROOT.upper()}/note", status=400)
    await server.get("/api/node/A0/note", status=400)


async def test_an_exact_name_counts_before_a_prefix(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    await server.post(f"/api/node/{root}/tag", json={"tag": "v1", "note": "first"})
    await server.post(f"/api/node/{root}/tag", json={"tag": "v1.1", "note": "second"})
    assert await server.get("/api/node/v1/note") == {"note": "first"}
    assert await server.get("/api/node/v1.1/note") == {"note": "second"}
    await server.get("/api/node/v/note", status=400)


async def chain(server: RunningServer) -> list[str]:
    """root - child - (branch side) first - second, the leaf last."""
    uuids = [await server.repo()]
    await server.commit(uuids[-1])
    uuids.append(await server.newversion(uuids[-1]))
    await server.commit(uuids[-1])
    uuids.append(await server.branch(uuids[-1], "side"))
    await server.commit(uuids[-1])
    uuids.append(await server.newversion(uuids[-1]))
    return uuids


async def test_a_branch_names_its_leaf_and_counts_back_to_the_root(server: RunningServer) -> None:
    uuids = await chain(server)
    root, child, first, leaf = uuids
    for name, uuid in {
        ":side": leaf,
        ":side~0": leaf,
        ":side~1": first,
        ":side~2": child,
        ":side~3": root,
        ":master": child,
        ":master~1": root,
        ":": root,
    }.items():
        await server.post(f"/api/node/{uuid}/note?admintoken=secret", json={"note": f"{name} is {uuid}"})
        assert (await server.get(f"/api/node/{root[:12]}{name}/note"))["note"] == f"{name} is {uuid}", name
    assert await server.get(f"/api/repo/{first}/branch-versions/side") == uuids[::-1]
    assert await server.get(f"/api/repo/{first}/branch-versions/master") == [child, root]
    assert await server.get(f"/api/repo/{first}/branch-versions/none") == []


@pytest.mark.parametrize(
    "name",
    [":side~4", ":side~-1", ":side~", ":side~x", ":side~1~1", ":side~+1", ":side~%20" "1", ":side~" + "9" * 5000,
     ":side~%D9%A1", ":none", ":Side", ":master~2", ":a:b", "::", "~1", "^1", ":side^1", ":~1", ":side~1.0"],
)  # fmt: skip
async def test_other_names_are_refused(server: RunningServer, name: str) -> None:
    leaf = (await chain(server))[-1]
    async with server.unchanged():
        await server.post(f"/api/node/{leaf}{name}/note", json={"note": "lost"}, status=400)
        await server.get(f"/api/repo/{leaf}{name}/info", status=400)


async def test_a_bare_branch_needs_a_single_repo(server: RunningServer) -> None:
    *_, leaf = await chain(server)
    await same_version(server, ":side", leaf)
    await same_version(server, ":side~0", leaf)
    await server.repo()
    await server.get("/api/node/:side/note", status=400)
    await server.get("/api/node/:/note", status=400)


async def test_no_repo_means_no_bare_branch(server: RunningServer) -> None:
    await server.get("/api/node/:master/note", status=400)


@pytest.mark.parametrize("branch", ["with blank", "a/b", "ünïcode", "50%", "a?b#c", "名前"])
async def test_branches_of_any_name_are_reached_percent_encoded(server: RunningServer, branch: str) -> None:
    root = await server.repo()
    await server.commit(root)
    child = await server.branch(root, branch)
    await same_version(server, f"{root}:{quote(branch, safe='')}", child)
    assert await server.get(f"/api/repo/{root}/branch-versions/{quote(branch, safe='')}") == [child, root]


async def test_merge_and_resolve_take_every_form_of_a_name(server: RunningServer) -> None:
    root = await server.repo()
    await server.commit(root)
    left, right = await server.newversion(root), await server.branch(root, "side")
    for uuid in (left, right):
        await server.commit(uuid)
    child = await server.merge(f"{root[:10]}:master", right[:12])
    nodes = await server.nodes(root)
    assert nodes[child]["Parents"] == [nodes[left]["VersionID"], nodes[right]["VersionID"]]
