"""Posted indices that are too large for one commit: all of them, or none."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from dvid_labelmap import filing, index_handlers, indices
from dvid_labelmap.keys import FILING
from dvid_labelmap.messages import LabelIndex, LabelIndices

from dvid_core import View
from dvid_core.testing.api import eventually
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation.keys import SEGMENT

from .segmentation import Counts, Segmentation, field, label_index, varint


def body(label: int, rows: int) -> Counts:
    """An index of two supervoxels, one of which others have too, spread over some cells."""
    return {(0, n % 40, n // 40): {label: n + 1, 1000: 2} for n in range(rows // 2)}


BODIES = {label: body(label, rows) for label, rows in ((1, 900), (2, 10), (3, 600), (4, 198), (5, 0), (6, 700))}


def indices_of(bodies: dict[int, Counts]) -> bytes:
    """A LabelIndices message."""
    messages = [label_index(label, counts) for label, counts in bodies.items()]
    return b"".join(b"\x0a" + varint(len(m)) + m for m in messages)


@pytest.fixture(autouse=True)
def small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is a thousand rows here."""
    monkeypatch.setattr(indices, "DIRECT", 1000)
    monkeypatch.setattr(filing, "PART", 8)
    monkeypatch.setattr(filing, "COMMIT", 1000)


def view_of(server: RunningServer, seg: Segmentation) -> View:
    """The instance as the tests look into it."""
    repo, node = server.server.repos.find(seg.uuid)
    return View(repo.instance(seg.name), node)


async def stored(server: RunningServer, seg: Segmentation) -> tuple[int, int]:
    """How many segments and marks there are."""
    view = view_of(server, seg)
    await view.instance.ready()
    counts = [sum([len(page) async for page in view.scan_keys(*key.all())]) for key in (SEGMENT, FILING)]
    return counts[0], counts[1]


async def check(seg: Segmentation, bodies: dict[int, Counts]) -> None:
    """Demand that these are the indices, and no others."""
    assert await seg.labels() == [label for label, counts in bodies.items() if counts]
    for label, counts in bodies.items():
        if counts:
            assert await seg.index(label) == counts


async def test_a_large_post_is_there_as_a_small_one_is(seg: Segmentation, server: RunningServer, engine: str) -> None:
    assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 200
    await check(seg, BODIES)
    segments, marks = await stored(server, seg)
    assert marks == 0
    # Posted again, old segments make room for the new ones.
    assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 200
    await check(seg, BODIES)
    assert await stored(server, seg) == (segments, 0)
    assert (await seg.ask("GET", "maxlabel")).json() == {"maxlabel": 6}
    if engine == "rocksdb":
        await server.restart()
        await check(seg, BODIES)


async def test_voxels_can_be_written_over_what_was_posted(seg: Segmentation) -> None:
    assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 200
    await seg.put((0, 0, 0), np.full((16, 16, 16), 1, np.uint64))
    changed = {label: dict(counts) for label, counts in BODIES.items()}
    changed[1][0, 0, 0] = {1: 16**3, 1000: 2}
    await check(seg, changed)


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4])
async def test_a_post_that_fails_leaves_nothing(
    seg: Segmentation, server: RunningServer, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    few = {2: body(2, 10)}
    assert (await seg.ask("POST", "indices", indices_of(few))).status == 200
    with monkeypatch.context() as patch:
        broken(patch, after)
        assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 500
    await check(seg, few)
    assert await stored(server, seg) == (0, 0)
    assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 200
    await check(seg, BODIES)


def broken(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let one of the commits before the last fail."""
    write, calls = filing.Filing._write, [0]

    async def failing(self: filing.Filing) -> None:
        calls[0] += 1
        if calls[0] > after:
            raise Stop
        await write(self)

    monkeypatch.setattr(filing.Filing, "_write", failing)


async def test_what_a_crash_left_is_removed_at_the_next_start(
    seg: Segmentation, server: RunningServer, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "memory":
        pytest.skip("nothing is left of it")
    with monkeypatch.context() as patch:
        broken(patch, 3)
        patch.setattr(filing, "drop", nothing)
        assert (await seg.ask("POST", "indices", indices_of(BODIES))).status == 500
    segments, marks = await stored(server, seg)
    assert segments > 0 and marks == 1
    await server.restart()
    assert await stored(server, seg) == (0, 0)
    await check(seg, {})


async def nothing(*_: Any) -> None:
    """Stands for what a crash prevents."""


async def test_a_client_that_leaves_has_all_of_its_post_or_none(
    seg: Segmentation, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    publish = filing.Filing.publish

    async def slow(self: filing.Filing, m: Any) -> None:
        reached.set()
        await go_on.wait()
        await publish(self, m)

    monkeypatch.setattr(filing.Filing, "publish", slow)
    posting = asyncio.create_task(seg.ask("POST", "indices", indices_of(BODIES)))
    await reached.wait()
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    go_on.set()
    # The bodies are locked until it is over.
    assert (await seg.ask("POST", "index/7", label_index(7, {(0, 0, 0): {7: 1}}))).status == 200
    monkeypatch.undo()

    async def ended() -> bool:
        return (await stored(server, seg))[1] == 0

    await eventually(ended)
    there = await seg.labels()
    assert there in ([7], [1, 2, 3, 4, 6, 7])
    assert ((await stored(server, seg))[0] > 0) == (len(there) > 1)


async def test_heads_that_are_too_many_are_refused(seg: Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "HEADS", 500)
    assert "some at a time" in await seg.refused("POST", "indices", indices_of(BODIES))
    await check(seg, {})


@pytest.mark.parametrize("page", [1024, 2])
async def test_many_indices_come_in_the_order_asked_for(
    seg: Segmentation, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(index_handlers, "SMALL_AT_ONCE", page)
    touched = label_index(8, {(0, 0, 0): {8: 1}}) + field(3, 77) + field(5, b"me")
    shown = label_index(9, {}) + field(1, field(1, 5) + field(2, field(1, field(1, 9) + field(2, 3)) + field(2, 12)))
    more = b"".join(field(1, message) for message in (touched, shown))
    assert (await seg.ask("POST", "indices", indices_of(BODIES) + more)).status == 200
    asked = [1, 2, 99, 3, 2, 8, 5, 4, 9, 0, 6, 2**64 - 1]
    found = LabelIndices.FromString((await seg.ask("GET", "indices", str(asked).encode())).body).indices
    assert [index.label for index in found] == asked
    for index in found:
        single = await seg.ask("GET", f"index/{index.label}")
        if single.status == 200:
            assert LabelIndex.FromString(single.body) == index
        else:
            assert index == LabelIndex(label=index.label)
    assert [index.label for index in found if index.blocks] == [1, 2, 3, 2, 8, 4, 9, 6]
    assert found[5].last_mutid == 77 and found[8].blocks[5].surface_mutid == 12
    assert (await seg.ask("GET", "indices", b"[]")).body == b""
