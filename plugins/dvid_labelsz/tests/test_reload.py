"""Counting anew: what was there before the sync, and changes that come while it runs."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from dvid_labelsz import labelsz, reload

from dvid_core.testing.fixtures import RunningServer

from .points import Points
from .sizes import Sizes, new_sizes
from .test_counts import put, some


async def test_a_sync_counts_nothing_and_a_reload_all(server: RunningServer) -> None:
    sizes = await new_sizes(server, sync="")
    await put(sizes, some(random.Random(1), 200))
    await put(sizes, some(random.Random(2), 200), "more")
    await server.post(sizes.path("sync"), json={"sync": "syn,more"})
    await sizes.settled()
    assert await sizes.top("AllSyn") == []
    await sizes.reload()
    await sizes.check()


async def test_a_reload_drops_what_is_wrong_and_keeps_what_is_right(
    sizes: Sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "ROWS", 3)
    monkeypatch.setattr(reload, "BUFFER", 10)
    monkeypatch.setattr(reload, "RUNS", 3)
    rng = random.Random(3)
    await put(sizes, some(rng, 200, labels=60))
    await sizes.check()
    await sizes.server.post(sizes.path("sync?replace=true"), json={"sync": ""})
    await put(sizes, some(rng, 200, labels=90))
    await sizes.server.post(sizes.path("sync"), json={"sync": "syn"})
    await sizes.settled()
    assert await sizes.top("AllSyn") != sizes.ranked("AllSyn")
    sizes.sources["more"].clear()
    for _ in range(2):
        await sizes.reload()
        await sizes.check()


async def test_a_reload_of_a_child_leaves_its_parent(sizes: Sizes) -> None:
    await put(sizes, some(random.Random(4), 100))
    child = await sizes.child()
    await put(child, some(random.Random(5), 100))
    await child.reload()
    await sizes.check()
    await child.check()


async def test_while_it_runs_counts_are_refused_and_changes_are_queued(sizes: Sizes) -> None:
    rng = random.Random(6)
    await put(sizes, some(rng, 60))
    await sizes.settled()
    Points.gate = asyncio.Event()
    await sizes.server.post(sizes.path("reload"))
    for n in range(6):
        await put(sizes, some(rng, 20), "syn" if n % 2 else "more")
        await sizes.settled()
        for end in ("count/5/PreSyn", "counts/PreSyn", "top/3/Gap", "threshold/1/Note"):
            answer = await sizes.ask("GET", end, b"[1]")
            assert answer.status == 400 and "not available" in answer.text
    Points.gate.set()
    await sizes.check()
    await put(sizes, some(rng, 20))
    await sizes.check()


async def test_a_second_reload_follows_the_first(sizes: Sizes) -> None:
    await put(sizes, some(random.Random(7), 60))
    Points.gate = asyncio.Event()
    for _ in range(3):
        await sizes.server.post(sizes.path("reload"))
    Points.gate.set()
    await sizes.check()


async def test_a_version_made_during_a_reload_counts_on_from_its_end(sizes: Sizes) -> None:
    rng = random.Random(8)
    await put(sizes, some(rng, 60))
    await sizes.settled()
    Points.gate = asyncio.Event()
    await sizes.server.post(sizes.path("reload"))
    await put(sizes, some(rng, 20))
    child = await sizes.child()
    await put(child, some(rng, 20))
    await child.settled()
    assert (await child.ask("GET", "top/3/Gap")).status == 400
    grandchild = await child.child()
    await put(grandchild, some(rng, 20))
    Points.gate.set()
    for place in (sizes, child, grandchild):
        await place.check()


@pytest.mark.parametrize("engine", ["rocksdb"])
@pytest.mark.parametrize("gate", [True, False])
async def test_a_reload_that_a_stop_cuts_short_is_done_at_the_next_start(
    server: RunningServer, sizes: Sizes, gate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(9)
    await put(sizes, some(rng, 60))
    await sizes.settled()
    if gate:
        Points.gate = asyncio.Event()
    else:

        async def stuck(*_: object) -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr(reload, "finish", stuck)
    await server.post(sizes.path("reload"))
    await put(sizes, some(rng, 30))
    await sizes.settled()
    Points.gate = None
    await server.stop()
    monkeypatch.undo()
    await server.start()
    await put(sizes, some(rng, 30))
    await sizes.check()


async def test_a_reload_that_fails_stays_refused_until_one_works(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(sizes, some(random.Random(10), 60))

    async def broken(*_: object) -> None:
        raise RuntimeError("no elements")

    monkeypatch.setattr(labelsz, "PAUSE", 0)
    with monkeypatch.context() as patch:
        patch.setattr(labelsz, "reload", broken)
        await sizes.reload()
    assert (await sizes.ask("GET", "top/3/Gap")).status == 400
    await put(sizes, some(random.Random(11), 60))
    await sizes.reload()
    await sizes.check()


async def test_a_reload_that_fails_once_is_tried_again(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(sizes, some(random.Random(12), 60))
    real, tries = labelsz.reload, 0

    async def first_broken(*args: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("a value is gone")
        await real(*args)

    monkeypatch.setattr(labelsz, "reload", first_broken)
    await sizes.reload()
    await sizes.check()
    assert tries == 2


async def test_a_committed_version_refuses_it_and_without_a_sync_nothing_happens(server: RunningServer) -> None:
    sizes = await new_sizes(server, sync="")
    await sizes.reload()
    assert await sizes.top("AllSyn") == []
    await server.commit(sizes.uuid)
    answer = await sizes.ask("POST", "reload")
    assert answer.status == 400 and "committed" in answer.text
    assert (await sizes.ask("GET", "reload")).status == 400
    assert (await sizes.ask("POST", "reload", admin=True)).status == 200


async def test_edits_under_way_and_reloads_at_once_lose_nothing(sizes: Sizes) -> None:
    async def edit(source: str, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(25):
            await put(sizes, some(rng, 8), source)

    async def reloading() -> None:
        for _ in range(6):
            await sizes.reload()

    await asyncio.gather(edit("syn", 1), edit("more", 2), reloading())
    await sizes.check()
