"""Merges: what is refused, what is seen through them, and conflicts."""

from __future__ import annotations

from typing import Any

import pytest

from dvid_core.testing.fixtures import RunningServer

ABSENT = None


class Fork:
    """A repo whose root has two children, "left" on master and "right" on a branch, with one keyvalue instance."""

    def __init__(self, server: RunningServer, root: str) -> None:
        self.server, self.root = server, root
        self.left = self.right = ""

    async def put(self, uuid: str, **values: str | None) -> None:
        """Set keys at a version; None deletes."""
        for key, value in values.items():
            place = f"/api/node/{uuid}/kv/key/{key}"
            await (self.server.delete(place) if value is None else self.server.post(place, value.encode()))

    async def split(self, **values: str) -> Fork:
        """Write these at the root, commit it, and open both children."""
        await self.put(self.root, **values)
        await self.server.commit(self.root)
        self.left = await self.server.newversion(self.root)
        self.right = await self.server.branch(self.root, "right")
        return self

    async def joined(self) -> str:
        """Commit both children and merge them."""
        await self.commit()
        return await self.server.merge(self.left, self.right)

    async def commit(self) -> None:
        for uuid in (self.left, self.right):
            await self.server.commit(uuid)

    async def resolve(self, *parents: str) -> str:
        body = {"data": ["kv"], "parents": parents or (self.left, self.right), "note": "settled"}
        return str((await self.server.post(f"/api/repo/{self.root}/resolve", json=body))["child"])

    async def seen(self, uuid: str) -> dict[str, str]:
        """All keys and values of a version, each value read by itself."""
        keys = await self.server.get(f"/api/node/{uuid}/kv/keys")
        return {k: (await self.server.get(f"/api/node/{uuid}/kv/key/{k}")).decode() for k in keys}


@pytest.fixture
async def fork(server: RunningServer) -> Fork:
    root = await server.repo()
    await server.instance(root, "kv")
    return Fork(server, root)


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        ({}, {}, "old"),
        ({"a": "new"}, {}, "new"),
        ({}, {"a": "new"}, "new"),
        ({"a": ABSENT}, {}, ABSENT),
        ({}, {"a": ABSENT}, ABSENT),
        ({"a": ABSENT}, {"a": "new"}, "new"),
        ({"a": "new"}, {"a": ABSENT}, "new"),
        ({"a": ABSENT}, {"a": ABSENT}, ABSENT),
    ],
)
async def test_a_merge_shows_what_was_changed_on_one_side(
    fork: Fork, left: dict[str, str | None], right: dict[str, str | None], merged: str | None
) -> None:
    await fork.split(a="old", b="same")
    await fork.put(fork.left, **left)
    await fork.put(fork.right, **right)
    child = await fork.joined()
    assert await fork.seen(child) == {"b": "same", **({"a": merged} if merged else {})}
    if merged is ABSENT:
        await fork.server.get(f"/api/node/{child}/kv/key/a", status=404)


async def test_a_conflict_is_named_and_listed_and_never_silent(fork: Fork) -> None:
    await fork.split(a="old", b="same")
    await fork.put(fork.left, a="left")
    await fork.put(fork.right, a="right")
    child, server = await fork.joined(), fork.server
    answer = await server.ask("GET", f"/api/node/{child}/kv/key/a")
    assert answer.status == 409
    assert fork.left in answer.text and fork.right in answer.text and "a" in answer.text
    await server.head(f"/api/node/{child}/kv/key/a", status=409)
    assert await server.get(f"/api/node/{child}/kv/keys") == ["a", "b"]
    assert await server.get(f"/api/node/{child}/kv/keyrange/a/z") == ["a", "b"]
    await server.get(f"/api/node/{child}/kv/keyrangevalues/a/z?json=true", status=409)
    assert (await server.ask("GET", f"/api/node/{child}/kv/keyrangevalues/b/z?json=true")).body == b'{"b":same}'
    assert await server.get(f"/api/node/{child}/kv/key/b") == b"same"


@pytest.mark.parametrize("decision", ["decided", ABSENT])
async def test_a_write_at_the_merge_decides_a_conflict(fork: Fork, decision: str | None) -> None:
    await fork.split(a="old")
    await fork.put(fork.left, a="left")
    await fork.put(fork.right, a="right")
    child = await fork.joined()
    await fork.put(child, a=decision)
    assert await fork.seen(child) == ({"a": decision} if decision else {})
    assert await fork.seen(fork.left) == {"a": "left"}
    assert await fork.seen(fork.right) == {"a": "right"}


async def test_the_same_new_value_on_both_sides_is_a_conflict_too(fork: Fork) -> None:
    await fork.split()
    await fork.put(fork.left, a="equal")
    await fork.put(fork.right, a="equal")
    child = await fork.joined()
    await fork.server.get(f"/api/node/{child}/kv/key/a", status=409)


async def test_a_later_merge_sees_what_an_earlier_one_decided(fork: Fork) -> None:
    await fork.split(a="old")
    await fork.put(fork.left, a="left")
    await fork.put(fork.right, a="right")
    child, server = await fork.joined(), fork.server
    await fork.put(child, a="decided")
    await server.commit(child)
    other = await server.branch(fork.right, "other")
    await fork.put(other, b="new")
    await server.commit(other)
    assert await fork.seen(await server.merge(child, other)) == {"a": "decided", "b": "new"}


async def test_the_merge_is_the_leaf_of_master_at_once(fork: Fork) -> None:
    await fork.split(a="old")
    child, server = await fork.joined(), fork.server
    await server.post(f"/api/node/{fork.root}:master/note", json={"note": "the merge"})
    assert await server.get(f"/api/node/{child}/note") == {"note": "the merge"}
    listed = await server.get(f"/api/repo/{child}/branch-versions/master")
    assert listed == [child, fork.left, fork.right, fork.root]
    await server.commit(child)
    assert (await server.get(f"/api/repo/{child}/branch-versions/master"))[0] == child


async def test_of_several_master_leaves_the_newest_counts(fork: Fork) -> None:
    await fork.split()
    server = fork.server
    more = await server.branch(fork.root, "more")
    await fork.commit()
    await server.commit(more)
    child = await server.merge(fork.right, more)
    assert (await server.get(f"/api/repo/{child}/branch-versions/master"))[0] == child
    assert (await server.get(f"/api/node/{fork.root}:master/status")) == {"Locked": False}


MERGE = {"mergeType": "conflict-free"}


@pytest.mark.parametrize(
    "change",
    [
        {"mergeType": "other"},
        {"mergeType": None},
        {"mergeType": 3},
        {"parents": []},
        {"parents": ["{left}"]},
        {"parents": ["{left}", "{left}"]},
        {"parents": ["{left}", "{open}"]},
        {"parents": ["{open}", "{left}"]},
        {"parents": ["{left}", "0123"]},
        {"parents": ["{left}", "{other}"]},
        {"parents": "{left},{right}"},
        {"parents": ["{left}", 3]},
        {"parents": None},
        {"note": 3},
    ],
)
async def test_a_failed_merge_or_resolve_leaves_nothing(fork: Fork, change: dict[str, Any]) -> None:
    server = fork.server
    await fork.split(a="old")
    await fork.put(fork.left, a="left")
    await fork.put(fork.right, a="right")
    await fork.commit()
    names = {
        "left": fork.left,
        "right": fork.right,
        "open": await server.newversion(fork.left),
        "other": await server.repo(),
    }
    await server.commit(names["other"])

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(v) for v in value]
        return value.format(**names) if isinstance(value, str) else value

    body = {"mergeType": "conflict-free", "data": ["kv"], "parents": [fork.left, fork.right], "note": ""}
    body |= {k: filled(v) for k, v in change.items()}
    async with server.unchanged():
        await server.post(f"/api/repo/{fork.root}/merge", json=body, status=400)
        if "mergeType" not in change:
            await server.post(f"/api/repo/{fork.root}/resolve", json=body, status=400)


@pytest.mark.parametrize("data", [[], None, "kv", ["kv", "nosuch"], [3]])
async def test_a_resolve_needs_instances(fork: Fork, data: Any) -> None:
    await fork.split(a="old")
    await fork.commit()
    body = {"data": data, "parents": [fork.left, fork.right], "note": ""}
    async with fork.server.unchanged():
        await fork.server.post(f"/api/repo/{fork.root}/resolve", json=body, status=400)
