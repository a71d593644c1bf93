"""Random edits of elements and labels, beside a plain model: all views agree."""

from __future__ import annotations

import pytest
from dvid_annotation import Annotation, rows

from dvid_core.testing.fixtures import RunningServer

from .model import GATE, Machine
from .place import new_place


@pytest.fixture(autouse=True)
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests hold events back."""
    monkeypatch.setattr(Annotation, "event_locks", lambda self, events: (*self.everything, GATE))


async def machine(server: RunningServer, seed: int) -> Machine:
    place = await new_place(server)
    await server.instance(place.uuid, "seg", "slabs")
    await server.post(f"{place.path}/sync", json={"sync": "seg"})
    return Machine(server, place, seed)


@pytest.mark.parametrize("engine", ["memory"])
@pytest.mark.parametrize("seed", range(6))
async def test_all_views_agree_with_a_plain_model_over_random_edits(server: RunningServer, seed: int) -> None:
    it = await machine(server, seed)
    for n in range(120):
        await it.step()
        if n % 40 == 20:
            await it.next_version()
        if n % 10 == 9:
            await it.check()


@pytest.mark.parametrize("engine", ["memory"])
@pytest.mark.parametrize("seed", range(100, 116))
async def test_views_agree_when_elements_change_between_label_edits_and_their_handling(
    server: RunningServer, seed: int
) -> None:
    it = await machine(server, seed)
    for n in range(12):
        async with it.held_back():
            for _ in range(it.random.randrange(1, 14)):
                await it.step()
        await it.check()
        if n == 6:
            await it.next_version()


@pytest.mark.parametrize("engine", ["memory"])
@pytest.mark.parametrize("seed", range(200, 203))
async def test_views_agree_where_elements_are_so_many_that_cells_and_lists_are_cut_up(
    server: RunningServer, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST", 3)
    it = await machine(server, seed)
    for n in range(100):
        await it.step()
        if n == 60:
            await it.next_version()
        if n % 20 == 19:
            await it.check()


@pytest.mark.parametrize("engine", ["memory"])
@pytest.mark.parametrize("seed", range(300, 302))
async def test_a_reload_changes_nothing_that_was_right(server: RunningServer, seed: int) -> None:
    it = await machine(server, seed)
    for _ in range(60):
        await it.step()
    await it.check()
    await it.place.reload()
    await it.check()
    for _ in range(30):
        await it.step()
    await it.check()


@pytest.mark.parametrize("engine", ["memory"])
@pytest.mark.parametrize("seed", range(400, 403))
async def test_events_that_are_too_large_for_one_commit_are_followed_in_the_background(
    server: RunningServer, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvid_annotation.annotation.AT_ONCE", 2)
    monkeypatch.setattr("dvid_annotation.work.BUDGET", 2)
    monkeypatch.setattr("dvid_annotation.rechecking.PORTION", 1)
    it = await machine(server, seed)
    for n in range(80):
        await it.step()
        if n == 40:
            await it.next_version()
        if n % 10 == 9:
            await it.check()
