"""Events: what a listener is told, in which commit, in which order, and when it is not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import pytest

from dvid_core import bus
from dvid_core.errors import BadRequest
from dvid_core.keys import Kind, u32
from dvid_core.mutation import Mutation
from dvid_core.storage.wrap import Wrapped
from dvid_core.testing.cells import COUNT, USER, Changed, Echo
from dvid_core.testing.world import World

# Delivery


async def test_listener_is_told_of_each_record_once_and_in_order(world: World) -> None:
    told: list[tuple[str, ...]] = []

    async def hold(self: Echo, event: Changed) -> None:
        told.append(event.names)

    await world.again(hold)
    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")
    for i in range(20):
        await world.put("cells", f"{i}", "all")
    await world.server.bus.idle()
    assert told == [(f"{i}", "all") for i in range(20)]
    assert await world.counts("echo") == {**{f"{i}": 1 for i in range(20)}, "all": 20}
    assert await world.records("echo") == 20


async def test_events_of_a_version_are_handled_at_that_version(world: World) -> None:
    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")
    await world.put("cells", "a")
    repo, root = world.server.repos.find(world.root)
    await repo.commit(root, "", [], USER)
    left, right = await repo.new_version(root), await repo.branch(root, "right")
    await world.put("cells", "a", node=left)
    await world.put("cells", "b", node=right)
    await world.server.bus.idle()
    assert [await world.counts("echo", n) for n in (root, left, right)] == [{"a": 1}, {"a": 2}, {"a": 1, "b": 1}]


async def test_two_that_follow_each_other_do_not_loop(world: World) -> None:
    await world.make("cells", "cells")
    await world.make("x", "echo", "cells")
    await world.make("y", "echo", "x")
    await world.follow("x", "y")
    await world.put("cells", "a")
    await world.server.bus.idle()
    assert await world.counts("x") == {"a": 1}
    assert await world.counts("y") == {"a": 1}
    with pytest.raises(BadRequest, match="cannot follow"):
        await world.follow("x", "x")


async def test_idle_of_the_last_in_a_chain_waits_for_those_before_it(world: World) -> None:
    await world.make("cells", "cells")
    names = [f"e{i}" for i in range(5)]
    for before, name in zip(["cells", *names], names, strict=False):
        await world.make(name, "echo", before)
    await world.put("cells", "a")
    await world.server.bus.idle(world["e4"].id)
    assert await world.counts("e4") == {"a": 1}


async def test_listener_that_is_written_by_others_too_loses_nothing(world: World) -> None:
    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")
    view = world.view("echo")

    async def add(m: Mutation) -> None:
        m.put(COUNT.key("a"), b"%d" % (int(await m.get(COUNT.key("a")) or b"0") + 1))

    await asyncio.gather(*(world.put("cells", "a") for _ in range(30)), *(view.edit("add", add) for _ in range(30)))
    await world.server.bus.idle()
    assert await world.counts("echo") == {"a": 60}


async def test_unversioned_source_tells_from_whichever_version_it_is_written(world: World) -> None:
    await world.make("cells", "cells", versioned=False)
    await world.make("echo", "echo", "cells", versioned=False)
    repo, root = world.server.repos.find(world.root)
    await repo.commit(root, "", [], USER)
    child = await repo.new_version(root)
    await world.put("cells", "a", node=root)
    await world.put("cells", "a", node=child)
    await world.server.bus.idle()
    assert await world.counts("echo", root) == await world.counts("echo", child) == {"a": 2}
    assert await world.records("cells", 0) == 2


async def test_edit_that_is_cancelled_while_it_waits_for_the_disk_is_told_all_the_same(world: World) -> None:
    visible = asyncio.Event()

    class SlowDisk(Wrapped):
        async def commit(self, *args, **options):  # type: ignore[no-untyped-def]
            await super().commit(*args, **options)
            visible.set()
            await asyncio.Event().wait()

    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")
    cells = world["cells"]
    cells.store = SlowDisk(cells.store)
    edit = asyncio.create_task(world.put("cells", "a"))
    await visible.wait()
    edit.cancel()
    await asyncio.gather(edit, return_exceptions=True)
    await world.server.bus.idle()
    assert await world.counts("echo") == {"a": 1}


# One commit


async def test_events_of_a_record_are_handled_together_with_the_cursor_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RETRY_SECONDS", 0)
    tries = Counter[str]()
    seen: list[dict[str, int]] = []

    async def hold(self: Echo, event: Changed) -> None:
        tries[event.names[0]] += 1
        seen.append(await world.counts("echo"))
        if event.names == ("third",) and tries["third"] < 3:
            raise ConnectionError("not now")

    await world.again(hold)
    await world.make("cells", "cells")
    await world.make("echo", "echo", "cells")

    async def change(m: Mutation) -> None:
        m.record({}, events=[Changed(("first",)), Changed(("second",)), Changed(("third",))])

    await world.view("cells").edit("three", change)
    await world.server.bus.idle()
    assert tries == {"first": 3, "second": 3, "third": 3}
    assert seen == [{}] * 9
    assert await world.counts("echo") == {"first": 1, "second": 1, "third": 1}
    assert await world.records("echo") == 1
    echo, cells = world["echo"], world["cells"]
    cursor = await echo.store.get(Kind.CURSOR.key(echo.id, u32(cells.id), u32(world.node.version)))
    assert int.from_bytes(cursor or b"", "big") == 1


async def test_record_that_fails_for_good_is_left_out_loudly_and_those_after_it_are_handled(
    kept: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus, "RETRY_SECONDS", 0)

    async def hold(self: Echo, event: Changed) -> None:
        if "bad" in event.names:
            raise RuntimeError("this one never")

    await kept.again(hold)
    await kept.make("cells", "cells")
    await kept.make("echo", "echo", "cells")
    for name in ("a", "bad", "b"):
        await kept.put("cells", name)
    with caplog.at_level(logging.CRITICAL, "dvid_core.bus"):
        await kept.server.bus.idle()
    assert "record 2 of cells is left out" in caplog.text
    assert await kept.counts("echo") == {"a": 1, "b": 1}
    await kept.again()
    await kept.put("cells", "c")
    await kept.server.bus.idle()
    assert await kept.counts("echo") == {"a": 1, "b": 1, "c": 1}
