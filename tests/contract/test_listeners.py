"""Listeners: from when to when they are told, what a restart and a commit of a version mean to them; log numbers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dvid_core.errors import NodeLocked, StoreClosed, UnknownInstance
from dvid_core.storage.base import Receipt
from dvid_core.storage.wrap import Wrapped
from dvid_core.testing.cells import USER, Changed, Echo
from dvid_core.testing.world import World

# Beginning and ending


async def test_sync_begins_behind_what_is_there(world: World) -> None:
    await world.make("cells", "cells")
    await world.put("cells", "before")
    await world.make("echo", "echo", "cells")
    await world.put("cells", "after")
    await world.server.bus.idle()
    assert await world.counts("echo") == {"after": 1}


async def test_replaced_sync_ends_the_old_one_and_a_later_one_begins_anew(world: World) -> None:
    await world.make("one", "cells")
    await world.make("two", "cells")
    await world.make("echo", "echo", "one")
    await world.put("one", "1a")
    await world.server.bus.idle()
    await world.follow("echo", "two", replace=True)
    await world.put("one", "1b")
    await world.put("two", "2a")
    await world.server.bus.idle()
    assert await world.counts("echo") == {"1a": 1, "2a": 1}
    await world.follow("echo", replace=True)
    await world.put("two", "2b")
    await world.follow("echo", "one", "two")
    await world.put("one", "1c")
    await world.put("two", "2c")
    await world.server.bus.idle()
    assert await world.counts("echo") == {"1a": 1, "1c": 1, "2a": 1, "2c": 1}


@pytest.mark.parametrize("names", [("none",), ("cells", "none"), ("cells", "other echo", "none")])
async def test_sync_is_all_or_nothing(world: World, names: tuple[str, ...]) -> None:
    await world.make("cells", "cells")
    await world.make("other echo", "echo")
    await world.make("echo", "echo")
    with pytest.raises(UnknownInstance):
        await world.follow("echo", *names)
    await world.put("cells", "a")
    await world.server.bus.idle()
    assert world["echo"].record.syncs == ()
    assert await world.counts("echo") == {}


@pytest.mark.parametrize("gone", ["cells", "echo"])
async def test_deleted_instance_neither_tells_nor_is_told(world: World, gone: str) -> None:
    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")
    await world.server.repos.delete_instance(world.server.repos.find(world.root)[0], gone)
    if gone == "echo":
        await world.put("cells", "a")
    await world.server.bus.idle()
    assert not world.server.bus._followers.get(1)


async def test_what_was_not_handled_before_the_end_is_handled_once_after_the_next_start(kept: World) -> None:
    reached = asyncio.Event()

    async def hold(self: Echo, event: Changed) -> None:
        if event.names == ("3",):
            reached.set()
            await asyncio.Event().wait()

    await kept.again(hold)
    await kept.make("cells", "cells")
    await kept.make("echo", "echo", "cells")
    for i in range(10):
        await kept.put("cells", f"{i}")
    await reached.wait()
    assert await kept.counts("echo") == {"0": 1, "1": 1, "2": 1}
    for _ in range(2):
        await kept.again()
        await kept.server.bus.idle()
        assert await kept.counts("echo") == {f"{i}": 1 for i in range(10)}
        assert await kept.records("echo") == 10


# Commits of versions


async def test_commit_of_a_version_waits_for_its_listeners_and_theirs(world: World) -> None:
    gate = asyncio.Event()

    async def hold(self: Echo, event: Changed) -> None:
        await gate.wait()

    await world.again(hold)
    await world.make("cells", "cells")
    await world.make("x", "echo", "cells")
    await world.make("y", "echo", "x")
    await world.put("cells", "a")
    repo, root = world.server.repos.find(world.root)
    commit = asyncio.create_task(repo.commit(root, "", [], USER))
    for _ in range(50):
        await asyncio.sleep(0)  # whoever can go on does so
    late = asyncio.create_task(world.put("cells", "late"))
    for _ in range(50):
        await asyncio.sleep(0)  # whoever can go on does so
    assert not (commit.done() or late.done() or root.locked)
    gate.set()
    await commit
    assert root.locked
    assert await world.counts("x") == await world.counts("y") == {"a": 1}
    with pytest.raises(NodeLocked):
        await late
    await world.server.bus.idle()
    assert await world.counts("y") == {"a": 1}


# Numbers


async def test_log_numbers_have_no_gaps_and_ids_are_given_once_also_over_restarts(kept: World) -> None:
    await kept.make("cells", "cells")
    ids: list[int] = []
    for round_ in range(1, 4):
        done = await asyncio.gather(*(kept.put("cells", f"{i % 7}") for i in range(150)))
        assert sorted(d.number for d in done) == list(range(150 * (round_ - 1) + 1, 150 * round_ + 1))
        assert not set(ids) & {d.mutation_id for d in done}
        ids += [d.mutation_id for d in done]
        assert await kept.records("cells") == 150 * round_
        await kept.again()
    assert len(set(ids)) == 450
    assert min(ids) == 1_000_000_000


# Trouble


async def test_listener_without_its_store_holds_nobody_up(kept: World) -> None:
    class Gone(Wrapped):
        async def commit(self, *args: Any, **options: Any) -> Receipt:
            raise StoreClosed("the disk is full")

    await kept.make("cells", "cells")
    await kept.make("echo", "echo", "cells")
    echo = kept["echo"]
    echo.store = Gone(echo.store)
    await kept.put("cells", "a")
    await kept.put("cells", "b")
    async with asyncio.timeout(20):
        await kept.server.bus.idle()
    await kept.again()
    await kept.server.bus.idle()
    assert await kept.counts("echo") == {"a": 1, "b": 1}


async def test_edit_stands_when_memory_cannot_take_its_record(
    kept: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("not understood")

    await kept.make("cells", "cells")
    await kept.make("echo", "echo", "cells")
    monkeypatch.setattr(kept["cells"], "apply", fail)
    assert (await kept.put("cells", "a")).number == 1
    assert "the state of cells in memory lacks record 1" in caplog.text
    await kept.server.bus.idle()
    assert await kept.counts("echo") == {"a": 1}
