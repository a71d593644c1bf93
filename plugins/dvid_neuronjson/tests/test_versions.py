"""Heads in memory and versions in the store: the same answers, whatever was done where."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dvid_neuronjson
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, running

from .place import Place, new_place


@pytest_asyncio.fixture
async def lasting(tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server that can be restarted."""
    async with running("rocksdb", tmp_path, plugins=[dvid_neuronjson]) as found:
        yield found


async def some_writes(place: Place, chance: random.Random, count: int) -> None:
    """Random edits of a few dozen bodies."""
    for _ in range(count):
        body = chance.choice([1, 2, 3, 9, 10, 11, 100, 2**53 + 1, 2**64 - 1, *range(200, 230)])
        act = chance.random()
        if act < 0.2:
            await place.delete(body)
        elif act < 0.3:
            await place.set_many([{"bodyid": b, "type": chance.choice("abc")} for b in range(300, 380)])
        else:
            fields: dict[str, Any] = {}
            for name in chance.sample(["type", "group", "size", "tags"], 2):
                fields[name] = chance.choice(["a", "b", 1, 2.5, [1, 2], None, {"x": 1}, True])
            options = chance.choice(["", "&replace=true", "&conditional=type"])
            await place.set(body, user=chance.choice(["ann", "bob"]), options=options, **fields)


@pytest.mark.parametrize("seed", range(3))
async def test_every_version_answers_the_same_from_memory_and_from_the_store(lasting: RunningServer, seed: int) -> None:
    chance = random.Random(seed)
    root = await new_place(lasting)
    places = [root]
    heads = [root]
    for n in range(7):
        for head in heads:
            await some_writes(head, chance, 6)
        parent = chance.choice(heads)
        await lasting.commit(parent.uuid)
        heads.remove(parent)
        heads.append(parent.at(await lasting.newversion(parent.uuid)))
        if chance.random() < 0.5:
            heads.append(parent.at(await lasting.branch(parent.uuid, f"side {n}")))
        places += heads[-2:]
    places = list({p.uuid: p for p in places}.values())
    before = [await p.answers() for p in places]
    await lasting.restart()
    assert [await p.answers() for p in reversed(places)] == before[::-1]
    for head in heads:
        await some_writes(head, chance, 3)
    after = [await p.answers() for p in places]
    committed = [i for i, p in enumerate(places) if p.uuid not in {h.uuid for h in heads}]
    assert [after[i] for i in committed] == [before[i] for i in committed]
    await lasting.restart()
    assert [await p.answers() for p in places] == after


async def test_numbers_sort_as_numbers_in_old_versions_too(nj: Place) -> None:
    for body in (100, 9, 20, 2**53 + 1):
        await nj.set(body, type="a")
    await nj.next()
    await (await nj.at(nj.uuid + ":master").next()).set(1, type="b")
    assert await nj.keys() == [9, 20, 100, 2**53 + 1]
    assert await nj.api.get(f"{nj.path}/keyrange/9/100") == ["9", "20", "100"]
    assert list(await nj.api.get(f"{nj.path}/keyrangevalues/1/20?json=true")) == ["9", "20"]
    assert await nj.api.get(f"{nj.path}/keyrange/30/20") == []


async def test_writes_of_an_admin_to_a_committed_version_are_seen_by_those_that_descend_from_it(nj: Place) -> None:
    await nj.set(1, type="a")
    middle = await nj.next()
    await middle.set(2, type="a")
    head = await middle.next()
    side = nj.at(await nj.api.branch(nj.uuid, "side"))
    assert [await p.ids({"type": "a"}) for p in (nj, middle, head, side)] == [[1], [1, 2], [1, 2], [1]]
    body = {"bodyid": 3, "type": "a"}
    assert (await nj.api.ask("POST", f"{nj.path}/key/3?u=root", json=body)).status == 400
    assert (await nj.api.ask("POST", f"{nj.path}/key/3?u=root", json=body, admin=True)).status == 200
    assert (await nj.api.ask("DELETE", f"{nj.path}/key/1", admin=True)).status == 200
    assert [await p.ids({"type": "a"}) for p in (nj, middle, head, side)] == [[3], [2, 3], [2, 3], [3]]
    await head.set(3, type="b")
    assert [await p.ids({"type": "a"}) for p in (nj, middle, head, side)] == [[3], [2, 3], [2], [3]]


async def conflict(nj: Place) -> tuple[Place, Place, Place]:
    """Two versions that differ about body 5, and their merge."""
    await nj.set(5, type="old")
    await nj.set(6, type="old")
    await nj.api.commit(nj.uuid)
    one, two = [nj.at(await nj.api.branch(nj.uuid, name)) for name in ("one", "two")]
    await one.set(5, user="bob", type="one")
    await two.set(5, user="eve", type="two")
    await two.set(7, type="two")
    for side in (one, two):
        await nj.api.commit(side.uuid)
    return one, two, nj.at(await nj.api.merge(one.uuid, two.uuid))


async def test_a_conflict_is_listed_and_never_silent(nj: Place) -> None:
    *_, merged = await conflict(nj)
    assert await merged.keys() == [5, 6, 7]
    asked: Any = {"type": "old"}
    for method, path, body in [
        ("GET", "key/5", None), ("HEAD", "key/5", None), ("GET", "all", None), ("GET", "fields", None),
        ("GET", "fieldtimes", None), ("GET", "query", b'{"type": "old"}'), ("GET", "query", b'{"bodyid": 5}'),
        ("GET", "keyrangevalues/0/a", None), ("GET", "keyvalues?json=true", b'["5"]'), ("GET", "export", None),
        ("GET", "export?format=csv", None), ("POST", "key/5?u=ann", b'{"bodyid": 5, "type": "x"}'),
    ]:  # fmt: skip
        answer = await nj.api.ask(method, f"{merged.path}/{path}", body)
        assert answer.status == 409, f"{method} {path}: {answer.status}"
        assert method == "HEAD" or "5" in answer.text
    assert await merged.get(6) == {"bodyid": 6, "type": "old"}
    assert [f["type"] for f in await merged.query({"bodyid": [6, 7]})] == ["old", "two"]
    await merged.set(6, type="new")
    await merged.set(5, options="&replace=true", type="decided")
    assert await merged.get(5, "?show=user") == {"bodyid": 5, "type": "decided", "type_user": "ann"}
    assert await merged.ids(asked) == []
    assert await merged.counts() == {"bodyid": 3, "type": 3, "type_user": 3, "type_time": 3}
    await (await merged.next()).set(8, type="a")


async def test_a_conflict_can_be_ended_by_deleting(nj: Place) -> None:
    *_, merged = await conflict(nj)
    assert await merged.keys() == [5, 6, 7]
    await merged.delete(5)
    assert [f["bodyid"] for f in await merged.all()] == [6, 7]


async def test_resolve_shows_the_values_of_the_first_parent(nj: Place) -> None:
    await nj.set(5, type="old")
    await nj.api.commit(nj.uuid)
    one, two = [nj.at(await nj.api.branch(nj.uuid, name)) for name in ("one", "two")]
    await one.set(5, type="one")
    await two.set(5, type="two")
    await two.set(7, type="two")
    assert [len(await p.all()) for p in (one, two)] == [1, 2]
    for side in (one, two):
        await nj.api.commit(side.uuid)
    body = {"data": [nj.name], "parents": [one.uuid, two.uuid], "note": ""}
    merged = nj.at((await nj.api.post(f"/api/repo/{one.uuid}/resolve", json=body))["child"])
    assert [(f["bodyid"], f["type"]) for f in await merged.all()] == [(5, "one"), (7, "two")]
    await merged.set(5, type="new")
    assert await merged.ids({"type": "new"}) == [5]


async def test_what_resolve_deleted_and_wrote_is_seen_at_once(nj: Place) -> None:
    await nj.api.commit(nj.uuid)
    one, two = [nj.at(await nj.api.branch(nj.uuid, name)) for name in ("one", "two")]
    await one.set(5, type="one")
    await two.set(5, type="two")
    for side in (one, two):
        assert len(await side.all()) == 1
        await nj.api.commit(side.uuid)
    both = nj.at(await nj.api.merge(one.uuid, two.uuid))
    assert await both.keys() == [5]
    await nj.api.commit(both.uuid)
    body = {"data": [nj.name], "note": ""}
    merged = (await nj.api.post(f"/api/repo/{one.uuid}/resolve", json={**body, "parents": [one.uuid, both.uuid]}))[
        "child"
    ]
    assert [f["type"] for f in await nj.at(merged).all()] == ["one"]
    await nj.api.post(f"/api/repo/{one.uuid}/resolve", json={**body, "parents": [two.uuid, one.uuid]})
    nodes = await nj.api.nodes(nj.uuid)
    (helper,) = [n["UUID"] for n in nodes.values() if n["Branch"].startswith("conflict-")]
    assert await nj.at(helper).all() == []


async def test_a_branch_is_read_anew_after_a_restart(lasting: RunningServer) -> None:
    nj = await new_place(lasting)
    await nj.set(5, type="a")
    await lasting.commit(nj.uuid)
    side = nj.at(await lasting.branch(nj.uuid, "side"))
    await side.set(6, type="b")
    await lasting.restart()
    assert [await p.keys() for p in (nj, side)] == [[5], [5, 6]]
    await side.set(7, type="b")
    assert await side.ids({"type": "b"}) == [6, 7]
    await lasting.restart()
    await nj.keys()
    await side.set(8, type="b")
    assert await side.ids({"type": "b"}) == [6, 7, 8]


async def test_an_unversioned_table_is_one_for_all_versions(server: RunningServer) -> None:
    place = await new_place(server, versioned="false")
    await place.set(1, type="a")
    child = await place.next()
    await child.set(2, type="a")
    await place.set(3, type="a")
    assert await place.answers() == await child.answers()
    assert await child.ids({"type": "a"}) == [1, 2, 3]
    assert [e["UUID"] for e in await place.history(3)] == [place.uuid]


async def test_columns_of_many_fields_come_and_go(server: RunningServer) -> None:
    nj = await new_place(server)
    names = [f"f{n}" for n in range(60)]
    await nj.set_many([{"bodyid": i, **dict.fromkeys(names, i % 7)} for i in range(1, 100)])
    expected = list(range(3, 100, 7))
    for name in [*names, *names]:
        assert await nj.ids({name: 3}) == expected
    await nj.set(1, **dict.fromkeys(names, 3))
    assert await nj.ids(dict.fromkeys(names, 3)) == [1, *expected]
    assert await nj.ids({"notes": "exists/1"}) == []
    repo, node = server.server.repos.find(nj.uuid)
    neurons = repo.instance(nj.name)
    assert isinstance(neurons, dvid_neuronjson.NeuronJSON)
    table = neurons.heads.peek(node.version)
    assert table is not None and all(0 < len(page.columns) <= 16 for page in table.pages)
