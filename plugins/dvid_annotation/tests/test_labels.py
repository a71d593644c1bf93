"""Lists of labels: what label edits, crashes and reloads do to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from dvid_annotation import Annotation, work

from dvid_core import View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.annotation_events import FiledElements

from .model import GATE
from .place import Place, element, new_place


@pytest.fixture(autouse=True)
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests hold events back."""
    monkeypatch.setattr(Annotation, "event_locks", lambda self, events: (*self.everything, GATE))


@pytest_asyncio.fixture
async def syn(server: RunningServer) -> Place:
    """An annotation that follows slabs of labels (see `labels`)."""
    place = await new_place(server)
    await server.instance(place.uuid, "seg", "slabs")
    await server.post(f"{place.path}/sync", json={"sync": "seg"})
    return place


def instance_of(syn: Place) -> Annotation:
    assert isinstance(syn.server, RunningServer)
    repo, _ = syn.server.server.repos.find(syn.uuid)
    found = repo.instance("syn")
    assert isinstance(found, Annotation)
    return found


async def label_edit(syn: Place, op: str, *numbers: int) -> int:
    return int((await syn.server.post(f"/api/node/{syn.uuid}/seg/{op}", json=numbers))["new"])


@asynccontextmanager
async def held_back(syn: Place, *locks: int) -> AsyncIterator[None]:
    assert isinstance(syn.server, RunningServer)
    async with syn.server.server.locks.hold(exclusive=[(instance_of(syn).id, key) for key in locks or (GATE,)]):
        yield


async def listed(syn: Place) -> dict[int, set[Any]]:
    """The lists of labels as followers read them."""
    instance = instance_of(syn)
    _, node = instance.server.repos.find(syn.uuid)
    offered = instance.offer(FiledElements, View(instance, node))
    assert offered is not None
    out: dict[int, set[Any]] = {}
    async for page in offered.pages():
        for label, (z, y, x), _, _ in page.tolist():
            out.setdefault(label, set()).add((x, y, z))
    return out


async def test_elements_are_listed_at_once_under_the_body_of_their_voxel(syn: Place) -> None:
    await label_edit(syn, "merge", 1, 2)
    await syn.post(element((15, 0, 0)), element((25, 0, 0)), element((-5, 0, 0)), element((35, 0, 0)))
    assert set(await syn.label(1)) == {(15, 0, 0), (25, 0, 0)}
    assert set(await syn.label(3)) == {(35, 0, 0)} and await syn.label(2) == {}
    await syn.move((15, 0, 0), (36, 0, 0))
    assert set(await syn.label(3)) == {(35, 0, 0), (36, 0, 0)} and set(await syn.label(1)) == {(25, 0, 0)}
    await syn.move((36, 0, 0), (37, 0, 0))
    assert set(await syn.label(3, "?relationships=true")) == {(35, 0, 0), (37, 0, 0)}


async def test_a_post_after_a_merge_shows_under_the_target_before_the_merge_is_followed(syn: Place) -> None:
    await syn.post(element((15, 0, 0)), element((25, 0, 0)))
    async with held_back(syn):
        await label_edit(syn, "merge", 1, 2)
        await syn.post(element((26, 0, 0)))
        assert set(await syn.label(1)) == {(15, 0, 0), (25, 0, 0), (26, 0, 0)}
        assert await syn.label(2) == {}
    await syn.idle()
    assert set(await syn.label(1)) == {(15, 0, 0), (25, 0, 0), (26, 0, 0)}


async def test_names_used_again_before_the_first_event_is_handled(syn: Place) -> None:
    await syn.post(element((15, 0, 0)), element((35, 0, 0)))
    async with held_back(syn):
        await label_edit(syn, "renumber", 77, 1)
        await label_edit(syn, "renumber", 1, 3)
        await syn.post(element((36, 0, 0)))
        await syn.delete((35, 0, 0))
    await syn.idle()
    assert await listed(syn) == {77: {(15, 0, 0)}, 1: {(36, 0, 0)}}


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_what_was_not_followed_when_the_server_stopped_is_followed_after_the_start(
    server: RunningServer, syn: Place
) -> None:
    await syn.post(element((15, 0, 0)), element((25, 0, 0)), element((45, 0, 0)))
    async with held_back(syn):
        await label_edit(syn, "merge", 1, 2)
        new = await label_edit(syn, "cleave", 1, 1)
        await syn.post(element((16, 0, 0)))
        await server.restart()
    await syn.idle()
    assert await listed(syn) == {1: {(25, 0, 0)}, new: {(15, 0, 0), (16, 0, 0)}, 4: {(45, 0, 0)}}


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_large_event_that_a_stop_cut_short_is_followed_to_its_end(
    server: RunningServer, syn: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvid_annotation.annotation.AT_ONCE", 3)
    monkeypatch.setattr("dvid_annotation.work.BUDGET", 3)
    monkeypatch.setattr("dvid_annotation.rechecking.PORTION", 1)
    for n in range(40):
        await syn.post(element((20 + n % 10, n, 0)))
    real = work.Works.wake
    with monkeypatch.context() as patch:
        patch.setattr(work.Works, "wake", lambda self: None)
        await label_edit(syn, "map", 2, 5)
        await server.server.bus.idle(instance_of(syn).id)
        assert 0 < len((await listed(syn))[2]) < 40
        await server.stop()
    assert work.Works.wake is real
    await server.start()
    await syn.server.get(f"{syn.path}/scan")
    await syn.idle()
    assert {label: len(some) for label, some in (await listed(syn)).items()} == {5: 40}
    await syn.delete((20, 0, 0))
    assert len(await syn.label(5)) == 39


async def test_a_sync_files_what_is_there_only_at_a_reload(server: RunningServer) -> None:
    syn = await new_place(server)
    await server.instance(syn.uuid, "seg", "slabs")
    await syn.post(*(element((x, 3, 3), tags=["t"]) for x in range(5, 65, 3)))
    await server.post(f"{syn.path}/sync", json={"sync": "seg"})
    assert await syn.label(2) == {}
    await syn.reload()
    assert set(await syn.label(2)) == {(x, 3, 3) for x in range(20, 30) if x % 3 == 2}
    assert len(await syn.tag("t")) == 20
    await syn.delete((20, 3, 3))
    assert (20, 3, 3) not in await syn.label(2)


@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_reload_goes_on_after_a_stop_and_keeps_writers_waiting(
    server: RunningServer, syn: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await syn.post(*(element((x, 3, 3), tags=["t"]) for x in range(10, 60)))
    before = await listed(syn)
    async with held_back(syn, 3):
        await server.post(f"{syn.path}/reload")
        assert (await server.get(f"{syn.path}/reload-status"))["Waiting"] == 1
        with monkeypatch.context() as patch:
            patch.setattr(work, "PATIENCE", 0.05)
            for method, path, body in (
                ("POST", "elements", [element((1, 1, 1))]), ("POST", "blocks", {"0,0,0": []}), ("POST", "reload", None),
                ("POST", "labels", {"5": "[]"}), ("POST", "move/10_3_3/10_4_3", None),
            ):  # fmt: skip
                assert "reload" in await syn.refused(method, path, body)
        await server.restart()
    await syn.server.get(f"{syn.path}/scan")
    await syn.idle()
    assert (await server.get(f"{syn.path}/reload-status"))["State"] == "done"
    assert await listed(syn) == before and len(await syn.tag("t")) == 50
    await syn.post(element((1, 1, 1)))


async def test_posted_lists_are_shown_and_replaced_and_follow_labels(syn: Place) -> None:
    there = element((25, 1, 1), "PreSyn")
    await syn.server.post(f"{syn.path}/blocks", json={"0,0,0": [there]})
    lists = {"2": json.dumps([there, element((26, 1, 1))]), "0": "nonsense", "9": json.dumps([element((1, 1, 1))])}
    await syn.server.post(f"{syn.path}/labels", json=lists)
    assert set(await syn.label(2)) == {(25, 1, 1), (26, 1, 1)} and set(await syn.label(9)) == {(1, 1, 1)}
    assert set(await syn.label(2, "?relationships=true")) == {(25, 1, 1)}
    await label_edit(syn, "merge", 3, 2)
    await syn.idle()
    assert set(await syn.label(3)) == {(25, 1, 1), (26, 1, 1)}
    await syn.delete((25, 1, 1))
    assert set(await syn.label(3)) == {(26, 1, 1)}
    await syn.server.post(f"{syn.path}/labels", json={"3": "[]"})
    assert await listed(syn) == {9: {(1, 1, 1)}}


async def test_an_unversioned_annotation_follows_versions_of_labels(server: RunningServer) -> None:
    syn = await new_place(server, versioned="false")
    await server.instance(syn.uuid, "seg", "slabs")
    await server.post(f"{syn.path}/sync", json={"sync": "seg"})
    await syn.post(element((15, 0, 0)), element((25, 0, 0)))
    await label_edit(syn, "merge", 1, 2)
    await syn.idle()
    assert set(await syn.label(1)) == {(15, 0, 0), (25, 0, 0)}


async def test_long_lists_are_shown_whole_and_changed_in_part(syn: Place) -> None:
    elements = [element((20 + n % 10, n // 10, n // 700), tags=["t"], prop={"n": str(n)}) for n in range(3000)]
    await syn.post(*elements)
    assert len(await syn.label(2)) == len(await syn.tag("t")) == 3000
    assert len(await syn.label(2, "?relationships=true")) == 3000
    await syn.post(element((21, 0, 0), "PreSyn"))
    await syn.delete((22, 0, 0))
    assert len(await syn.label(2)) == 2999 and len(await syn.tag("t")) == 2998
    await label_edit(syn, "merge", 7, 2)
    await syn.idle()
    assert {label: len(some) for label, some in (await listed(syn)).items()} == {7: 2999}
