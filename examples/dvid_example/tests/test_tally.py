"""Tallies over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import dvid_example
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer


@pytest_asyncio.fixture
async def root(server: RunningServer) -> str:
    return await server.repo()


@pytest_asyncio.fixture
async def cells(server: RunningServer, root: str) -> str:
    """The path of a tally "cells"."""
    return await server.instance(root, "cells", "tally", Unit="cells", limit="100")


async def counts(server: RunningServer, place: str) -> Any:
    return await server.get(f"{place}/counts")


async def idle(server: RunningServer, uuid: str, name: str) -> None:
    """Return when the tally has handled all that it was told."""
    repo, _ = server.server.repos.find(uuid)
    await server.server.bus.idle(repo.instance(name).id)


async def test_what_is_added_is_counted(server: RunningServer, cells: str) -> None:
    assert await server.post(f"{cells}/add/glia") == {"count": 1}
    assert await server.post(f"{cells}/add/glia?n=41") == {"count": 42}
    assert await server.post(f"{cells}/add/glia?n=-2") == {"count": 40}
    assert await server.post(f"{cells}/add/a%20b%2F%C3%A9?n=3") == {"count": 3}
    assert await server.get(f"{cells}/count/glia") == {"count": 40}
    assert await counts(server, cells) == {"a b/é": 3, "glia": 40}
    await server.get(f"{cells}/count/none", status=404)


@pytest.mark.parametrize("path", ["add", "add/", "add/x?n=one", "add/x?n=1.5", "add/x?n=-1", "add/x?n=101", "add/x?n="])
async def test_what_cannot_be_added_is_refused_and_changes_nothing(
    server: RunningServer, cells: str, path: str
) -> None:
    await server.post(f"{cells}/add/x", json=None)
    await server.post(f"{cells}/add/x?n=-1")
    await server.post(f"{cells}/{path}", status=400)
    assert await counts(server, cells) == {"x": 0}


async def test_clients_that_add_at_once_lose_nothing(server: RunningServer, cells: str) -> None:
    replies = await asyncio.gather(*(server.post(f"{cells}/add/{'ab'[i % 2]}") for i in range(60)))
    assert sorted(r["count"] for r in replies) == sorted([*range(1, 31)] * 2)
    assert await counts(server, cells) == {"a": 30, "b": 30}


async def test_child_counts_on_and_the_parent_stays(server: RunningServer, root: str, cells: str) -> None:
    await server.post(f"{cells}/add/glia?n=5")
    await server.commit(root)
    child = f"/api/node/{await server.newversion(root)}/cells"
    await server.post(f"{child}/add/glia?n=2")
    assert await counts(server, child) == {"glia": 7}
    assert await counts(server, cells) == {"glia": 5}
    infos = [await server.get(f"{place}/info") for place in (child, cells)]
    assert [i["Total"] for i in infos] == [7, 5]
    assert infos[0]["Extended"] == {"Unit": "cells", "Limit": 100}


async def test_merge_that_counted_on_both_sides_is_a_conflict_until_it_is_decided(
    server: RunningServer, root: str, cells: str
) -> None:
    await server.commit(root)
    sides = [await server.branch(root, name) for name in ("left", "right")]
    for uuid in sides:
        await server.post(f"/api/node/{uuid}/cells/add/glia")
        await server.post(f"/api/node/{uuid}/cells/add/{uuid}")
        await server.commit(uuid)
    merged = f"/api/node/{await server.merge(*sides)}/cells"
    await server.get(f"{merged}/count/glia", status=409)
    await server.get(f"{merged}/counts", status=409)
    await server.post(f"{merged}/add/glia", status=409)
    assert await server.get(f"{merged}/count/{sides[0]}") == {"count": 1}
    assert (await server.get(f"{merged}/info"))["Total"] is None


@pytest.mark.parametrize("engine", ["rocksdb"], indirect=True)
async def test_total_in_memory_is_that_of_the_counters_after_a_restart_too(server: RunningServer, root: str) -> None:
    place = await server.instance(root, "tally", "tally")
    for round_ in range(1, 4):
        await asyncio.gather(*(server.post(f"{place}/add/{i}?n=2") for i in range(10)), server.get(f"{place}/info"))
        assert (await server.get(f"{place}/info"))["Total"] == 20 * round_
        await server.restart()
        assert (await server.get(f"{place}/info"))["Total"] == 20 * round_


async def test_tally_that_follows_another_counts_what_is_added_there(server: RunningServer, root: str) -> None:
    first = await server.instance(root, "first", "tally", Limit=5)
    await server.post(f"{first}/add/before")
    places = [await server.instance(root, name, "tally") for name in ("second", "third")]
    await server.post(f"{places[0]}/sync", json={"sync": "first"})
    await server.post(f"{places[1]}/sync", json={"sync": "second"})
    await server.post(f"{first}/sync", json={"sync": "third"})  # a circle is no loop
    for name in ("a", "b", "a"):
        await server.post(f"{first}/add/{name}")
    await server.post(f"{places[0]}/add/own?n=7")
    await idle(server, root, "third")
    assert await counts(server, places[0]) == {"a": 2, "b": 1, "own": 7}
    assert await counts(server, places[1]) == {"a": 2, "b": 1, "own": 7}
    await idle(server, root, "first")
    assert await counts(server, first) == {"a": 2, "b": 1, "before": 1, "own": 7}
    assert [m["Action"] for m in await server.get(f"{places[1]}/mutations")] == ["add"] * 4


async def test_log_tells_who_added_what(server: RunningServer, root: str, cells: str) -> None:
    await server.post(f"{cells}/add/glia?n=5&u=ann")
    (entry,) = await server.get(f"{cells}/mutations")
    assert entry.items() >= {"Action": "add", "Name": "glia", "N": 5, "UUID": root}.items()


def test_plugin_offers_its_type() -> None:
    assert dvid_example.dvid_datatypes() == [dvid_example.Tally]
