"""Resolve: of keys changed on both sides the first parent wins; all others stay as a merge shows them."""

from __future__ import annotations

import pytest

from dvid_core.testing.fixtures import RunningServer

Change = dict[str, bytes | None]


class Family:
    """Committed versions with one keyvalue instance, each on a branch of its own below a common root."""

    def __init__(self, server: RunningServer, root: str) -> None:
        self.server, self.root = server, root

    async def write(self, uuid: str, change: Change) -> None:
        for key, value in change.items():
            place = f"/api/node/{uuid}/kv/key/{key}"
            await (self.server.delete(place) if value is None else self.server.post(place, value))

    async def child(self, parent: str, branch: str, **change: bytes | None) -> str:
        """A committed child with these changes."""
        uuid = await self.server.branch(parent, branch)
        await self.write(uuid, change)
        await self.server.commit(uuid)
        return uuid

    async def resolve(self, *parents: str) -> str:
        body = {"data": ["kv"], "parents": parents, "note": "settled"}
        return str((await self.server.post(f"/api/repo/{self.root}/resolve", json=body))["child"])

    async def seen(self, uuid: str) -> dict[str, bytes]:
        keys = await self.server.get(f"/api/node/{uuid}/kv/keys")
        return {k: await self.server.get(f"/api/node/{uuid}/kv/key/{k}") for k in keys}


@pytest.fixture
async def family(server: RunningServer) -> Family:
    root = await server.repo()
    await server.instance(root, "kv")
    found = Family(server, root)
    await found.write(root, {"a": b"old", "b": b"old", "c": b"old"})
    await server.commit(root)
    return found


async def test_the_first_parent_wins_what_both_changed(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1", n=b"1")
    two = await family.child(family.root, "two", a=b"2", n=b"2")
    for first, second, value in ((one, two, b"1"), (two, one, b"2")):
        child = await family.resolve(first, second)
        assert await family.seen(child) == {"a": value, "b": b"old", "c": b"old", "n": value}


async def test_what_only_one_side_changed_is_kept(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1", x=b"1")
    two = await family.child(family.root, "two", b=b"2", y=b"2", a=b"2")
    child = await family.resolve(one, two)
    assert await family.seen(child) == {"a": b"1", "b": b"2", "c": b"old", "x": b"1", "y": b"2"}


async def test_a_change_in_a_later_parent_only_is_not_lost(family: Family) -> None:
    one = await family.child(family.root, "one", n=b"1")
    two = await family.child(family.root, "two", a=b"2")
    assert (await family.seen(await family.resolve(one, two)))["a"] == b"2"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_deleted_on_one_side_and_changed_on_the_other_is_the_change(
    family: Family, order: tuple[int, int]
) -> None:
    parents = [await family.child(family.root, "one", a=None, b=None), await family.child(family.root, "two", a=b"2")]
    child = await family.resolve(*(parents[i] for i in order))
    assert await family.seen(child) == {"a": b"2", "c": b"old"}


async def test_three_parents_give_way_in_their_order(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1")
    two = await family.child(family.root, "two", a=b"2", b=b"2")
    three = await family.child(family.root, "three", a=b"3", b=b"3", c=b"3")
    assert await family.seen(await family.resolve(one, two, three)) == {"a": b"1", "b": b"2", "c": b"3"}
    assert await family.seen(await family.resolve(three, one, two)) == {"a": b"3", "b": b"3", "c": b"3"}


async def test_the_same_parents_can_be_resolved_again(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1")
    two = await family.child(family.root, "two", a=b"2")
    for _ in range(2):
        assert (await family.seen(await family.resolve(one, two)))["a"] == b"1"


async def test_parents_keep_what_they_had(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1")
    two = await family.child(family.root, "two", a=b"2")
    await family.resolve(one, two)
    assert (await family.seen(one))["a"] == b"1"
    assert (await family.seen(two))["a"] == b"2"


async def test_a_conflict_that_a_parent_inherits_is_settled(family: Family) -> None:
    server = family.server
    one = await family.child(family.root, "one", a=b"1")
    two = await family.child(family.root, "two", a=b"2")
    disputed = await server.merge(one, two)
    await server.commit(disputed)
    three = await family.child(family.root, "three", a=b"3")
    assert (await family.seen(await family.resolve(three, disputed)))["a"] == b"3"
    settled = (await family.seen(await family.resolve(disputed, three)))["a"]
    assert settled in (b"1", b"2")


async def test_large_values_win_and_lose_whole(family: Family) -> None:
    large = bytes(range(256)) * 8192
    one = await family.child(family.root, "one", a=large)
    two = await family.child(family.root, "two", a=large[::-1])
    assert (await family.seen(await family.resolve(two, one)))["a"] == large[::-1]


async def test_instances_that_are_not_named_keep_their_conflicts(family: Family) -> None:
    server = family.server
    await server.post(
        f"/api/repo/{family.root}/instance", json={"typename": "keyvalue", "dataname": "other"}, admin=True
    )
    parents = []
    for name in ("one", "two"):
        uuid = await server.branch(family.root, name)
        await server.post(f"/api/node/{uuid}/other/key/k", name.encode())
        await server.commit(uuid)
        parents.append(uuid)
    child = await family.resolve(*parents)
    await server.get(f"/api/node/{child}/other/key/k", status=409)


async def test_the_child_is_open_on_master_and_helpers_are_locked(family: Family) -> None:
    one = await family.child(family.root, "one", a=b"1")
    two = await family.child(family.root, "two", a=b"2")
    child = await family.resolve(one, two)
    nodes = await family.server.nodes(child)
    assert (nodes[child]["Locked"], nodes[child]["Branch"], nodes[child]["Note"]) == (False, "", "settled")
    assert all(node["Locked"] for uuid, node in nodes.items() if uuid != child)
