"""Large values: their chunks are there as long as something needs them, and no longer, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dvid_core.errors import BadRequest
from dvid_core.instance import Instance
from dvid_core.keys import Kind, prefix_range, u32
from dvid_core.mutation import Mutation
from dvid_core.records import now
from dvid_core.storage.base import Page
from dvid_core.storage.wrap import Wrapped
from dvid_core.sweep import KEEP
from dvid_core.testing.cells import CELL, put
from dvid_core.testing.world import World
from dvid_core.values import CHUNK, INLINE, Staged

MIB = 1 << 20


async def pieces(size: int, fill: bytes = b"x") -> AsyncIterator[bytes]:
    """A body of so many bytes in pieces that do not fit the chunks."""
    while size > 0:
        yield fill * min(size, 300_000)
        size -= 300_000


async def count(instance: Instance, start: bytes, stop: bytes) -> int:
    return sum([len(page) async for page in instance.store.scan(start, stop, want="keys")])


async def leftovers(instance: Instance) -> tuple[int, int, int]:
    """How many chunks, marks of staged values and marks of replaced values there are."""
    ranges = [prefix_range(b"\x04" + u32(instance.id)), Kind.STAGED.range(instance.id), Kind.SWEEP.range(instance.id)]
    chunks, staged, replaced = [await count(instance, *r) for r in ranges]
    return chunks, staged, replaced


@pytest.fixture(params=["memory", "rocksdb"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    world = await World(tmp_path / "store" if request.param == "rocksdb" else None).open()
    await world.make("cells", "cells")
    yield world
    await world.server.aclose()


async def put_large(world: World, name: str, size: int, fill: bytes = b"x") -> None:
    view = world.view("cells")
    await put(view, {name: await view.stage(pieces(size, fill))})


# Values and their parts


@pytest.mark.parametrize("size", [0, 1, INLINE, INLINE + 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7])
async def test_value_reads_back_whole_and_in_parts(world: World, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, size, 99_991):
            yield data[at : at + 99_991]

    view = world.view("cells")
    staged = await view.stage(body())
    assert isinstance(staged, Staged) == (size > INLINE)
    await put(view, {"a": staged})
    assert await view.get(CELL.key("a")) == data
    found = await view.open(CELL.key("a"))
    assert found is not None and found.size == size
    for start, stop in [(0, 0), (0, size), (size, size), (size // 3, size // 2), (max(0, size - 3), size)]:
        assert await found.read(start, stop) == data[start:stop]
        assert all([len(c) <= CHUNK async for c in found.chunks(start, stop)])
    assert await leftovers(world["cells"]) == (-(-size // CHUNK) if size > INLINE else 0, 0, 0)


async def test_body_that_breaks_off_or_is_too_long_leaves_nothing(world: World) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (3 * MIB)
        raise ConnectionError

    view = world.view("cells")
    with pytest.raises(ConnectionError):
        await view.stage(broken())
    with pytest.raises(BadRequest, match="longer than 2000000"):
        await view.stage(pieces(9 * MIB), limit=2_000_000)
    waiting = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * (3 * MIB)
        waiting.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(view.stage(slow()))
    await waiting.wait()
    assert (await leftovers(world["cells"]))[:2] == (3, 1)
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    assert await leftovers(world["cells"]) == (0, 0, 0)
    assert not world["cells"].live_stages


# Sweeping


async def test_replaced_and_deleted_values_are_swept_when_they_are_old_enough(world: World) -> None:
    cells, sweeper = world["cells"], world.server.sweeper
    for name in ("replaced", "deleted", "kept"):
        await put_large(world, name, 3 * MIB)
    await put_large(world, "replaced", 2 * MIB, b"y")
    await put(world.view("cells"), {"deleted": None})
    assert await leftovers(cells) == (11, 0, 2)
    assert await sweeper.sweep(cells, now() - KEEP) == await sweeper.sweep(cells, world.server.started) == 0
    assert await sweeper.sweep(cells, now() + 1) == 2
    assert await leftovers(cells) == (5, 0, 0)
    assert await world.view("cells").get(CELL.key("replaced")) == b"y" * 2 * MIB
    assert await world.view("cells").get(CELL.key("kept")) == b"x" * 3 * MIB


async def test_value_replaced_in_a_child_stays_for_the_parent(world: World) -> None:
    await put_large(world, "a", 2 * MIB)
    repo, root = world.server.repos.find(world.root)
    await repo.commit(root, "", [], world.view("cells").caller)
    child = await repo.new_version(root)
    await put(world.view("cells", child), {"a": b"small"})
    assert await world.server.sweeper.sweep(world["cells"], now() + 1) == 0
    assert await world.view("cells").get(CELL.key("a")) == b"x" * 2 * MIB


async def test_reader_under_way_is_not_disturbed_by_a_replacement_and_a_sweep(world: World) -> None:
    await put_large(world, "a", 20 * MIB)
    found = await world.view("cells").open(CELL.key("a"))
    assert found is not None
    read, sizes = found.chunks(), [0]
    sizes.append(len(await anext(read)))
    await put_large(world, "a", 20 * MIB, b"y")
    for before in (now() - KEEP, world.server.started):
        assert await world.server.sweeper.sweep(world["cells"], before) == 0
    async for chunk in read:
        assert chunk == b"x" * len(chunk)
        sizes.append(len(chunk))
    assert sum(sizes) == 20 * MIB


class StaleScan(Wrapped):
    """Lets `meanwhile` run between what a scan finds and what it gives, as a far store may."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def scan(self, start: bytes, stop: bytes, **options: Any) -> AsyncIterator[Page]:
        found = [page async for page in super().scan(start, stop, **options)]
        if found and self.meanwhile is not None:
            await self.meanwhile()
        for page in found:
            yield page


async def test_sweep_does_not_take_a_value_that_an_edit_takes_at_the_same_time(world: World) -> None:
    view, cells = world.view("cells"), world["cells"]
    staged = await view.stage(pieces(3 * MIB))
    cells.store = store = StaleScan(cells.store)
    store.meanwhile = lambda: put(view, {"a": staged})
    assert await world.server.sweeper.sweep(cells, now()) == 0
    assert await view.get(CELL.key("a")) == b"x" * 3 * MIB


async def test_two_edits_that_replace_a_value_leave_no_chunks_of_either(world: World) -> None:
    view, cells = world.view("cells"), world["cells"]
    await put_large(world, "a", 2 * MIB)
    both = asyncio.Barrier(2)

    async def replace(value: bytes | Staged) -> None:
        tries = 0

        async def change(m: Mutation) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                await both.wait()
            m.put(CELL.key("a"), value)

        await view.edit("replace", change)

    await asyncio.gather(replace(await view.stage(pieces(4 * MIB))), replace(await view.stage(pieces(4 * MIB, b"y"))))
    assert await world.server.sweeper.sweep(cells, now() + 1) == 2
    assert (await leftovers(cells))[0] == 4
    assert (await view.get(CELL.key("a")) or b"")[1:] in (b"x" * (4 * MIB - 1), b"y" * (4 * MIB - 1))
