"""Edits whose blocks are staged, while these are moved to their places, and after a stop in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation import rewriting
from dvid_voxels.testing.volume import Array, Triple, cells, sparse

from .bodies import Bodies, noise

LOW: Triple = (0, 0, 0)
SIZE: Triple = (48, 48, 48)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Stages all blocks, and lets packages be moved one by one."""
    monkeypatch.setattr(rewriting, "DIRECT", 0)
    monkeypatch.setattr(rewriting, "BYTES", 4000)
    found = Gate()
    real = rewriting.Moves._move_package

    async def slowly(*args: Any) -> None:
        await found.passed()
        await real(*args)

    monkeypatch.setattr(rewriting.Moves, "_move_package", slowly)
    return found


class Gate:
    """Lets so many through."""

    def __init__(self) -> None:
        self._open = asyncio.Semaphore(0)
        self.reached = asyncio.Event()
        """Somebody waits at it, or did."""

    async def passed(self) -> None:
        """Wait to be let through."""
        self.reached.set()
        await self._open.acquire()

    def let(self, count: int) -> None:
        """Let some through."""
        for _ in range(count):
            self._open.release()


@pytest_asyncio.fixture
async def voxels(bodies: Bodies) -> Array:
    """Voxels of twelve labels, written."""
    found = cells(SIZE)
    await bodies.put(LOW, found)
    return found


def merged(voxels: Array) -> Array:
    """After a merge of 2 and 3 into 1."""
    return np.where(np.isin(voxels, (2, 3)), np.uint64(1), voxels)


async def test_an_edit_is_seen_at_once_and_as_a_whole(bodies: Bodies, voxels: Array, gate: Gate) -> None:
    wanted = merged(voxels)
    edit = asyncio.ensure_future(bodies.merge(1, 2, 3))
    await gate.reached.wait()
    for step in (1, 2, 100):
        assert np.array_equal(await bodies.get(LOW, SIZE), wanted)
        assert await bodies.points(2) is None
        found = await bodies.points(1)
        assert found is not None and np.array_equal(found, np.argwhere(wanted == 1))
        assert (await bodies.api.get(f"{bodies.path}/label/5_6_7"))["Label"] == wanted[7, 6, 5]
        gate.let(step)
    await edit
    await bodies.check(LOW, wanted, 2, 3)


async def test_a_write_waits_until_the_blocks_are_in_their_places(bodies: Bodies, voxels: Array, gate: Gate) -> None:
    edit = asyncio.ensure_future(bodies.merge(1, 2, 3))
    await gate.reached.wait()
    fresh = cells((16, 16, 16), seed=7)
    write = asyncio.ensure_future(bodies.put(LOW, fresh))
    again = asyncio.ensure_future(bodies.merge(4, 1, 2))
    await bodies.get(LOW, SIZE)
    assert not write.done() and not again.done()
    gate.let(1000)
    await asyncio.gather(edit, write, again)
    found = await bodies.get(LOW, SIZE)
    wanted = merged(voxels)
    wanted[wanted == 1] = 4
    wanted[:16, :16, :16] = found[:16, :16, :16]
    assert np.array_equal(found, wanted)
    kept = ~np.isin(fresh, (1, 2))
    assert np.array_equal(fresh[kept], found[:16, :16, :16][kept])
    await bodies.check(LOW, found)


async def test_a_version_that_is_committed_meanwhile_and_its_child_see_the_whole_edit(
    server: RunningServer, bodies: Bodies, voxels: Array, gate: Gate
) -> None:
    edit = asyncio.ensure_future(bodies.merge(1, 2, 3))
    await gate.reached.wait()
    await server.commit(bodies.uuid)
    child = bodies.at(await server.newversion(bodies.uuid))
    assert np.array_equal(await child.get(LOW, SIZE), merged(voxels))
    fresh = cells((16, 16, 16), seed=7)
    write = asyncio.ensure_future(child.put(LOW, fresh))
    await child.get(LOW, SIZE)
    assert not write.done()
    gate.let(1000)
    await asyncio.gather(edit, write)
    await bodies.check(LOW, merged(voxels), 2, 3)
    wanted = merged(voxels)
    wanted[:16, :16, :16] = fresh
    await child.check(LOW, wanted)


async def test_an_admins_edit_of_a_committed_version_leaves_what_descendants_wrote(
    server: RunningServer, bodies: Bodies, voxels: Array, gate: Gate
) -> None:
    await server.commit(bodies.uuid)
    child = bodies.at(await server.newversion(bodies.uuid))
    own = np.full((16, 16, 16), 2, np.uint64)
    await child.put(LOW, own)
    edit = asyncio.ensure_future(server.ask("POST", f"{bodies.path}/merge", json=[1, 2, 3], admin=True))
    await gate.reached.wait()
    wanted = merged(voxels)
    wanted[:16, :16, :16] = 2
    assert np.array_equal(await child.get(LOW, SIZE), wanted)
    gate.let(1000)
    assert (await edit).status == 200
    assert np.array_equal(await child.get(LOW, SIZE), wanted)


@pytest.mark.parametrize("moved", [0, 2])
@pytest.mark.parametrize("engine", ["rocksdb"])
async def test_a_stop_in_the_middle_is_made_up_for_at_the_next_start(
    server: RunningServer, bodies: Bodies, voxels: Array, gate: Gate, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = asyncio.ensure_future(bodies.ask("POST", "merge", b"[1, 2, 3]"))
    await gate.reached.wait()
    gate.let(moved)
    await bodies.get(LOW, SIZE)
    await server.stop()
    await asyncio.gather(edit, return_exceptions=True)
    monkeypatch.undo()
    await server.start()
    await bodies.check(LOW, merged(voxels), 2, 3)
    await bodies.put((48, 0, 0), cells((16, 16, 16)))


async def test_what_a_refused_edit_staged_is_removed(
    server: RunningServer, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "DIRECT", 0)
    monkeypatch.setattr(rewriting, "BYTES", 100_000)
    voxels = noise((64, 32, 32))
    await bodies.put(LOW, voxels)
    here, foreign = np.argwhere(voxels == 5), np.array([[63, 31, 31]])
    text = await bodies.refused("POST", "split/5", sparse(np.concatenate([here[:-1], foreign])))
    assert "not of label 5" in text
    repo, _ = server.server.repos.find(bodies.uuid)
    assert not repo.instance("bodies").live_stages
    assert (await bodies.api.get(f"{bodies.path}/nextlabel"))["nextlabel"] == int(voxels.max()) + 1
    assert np.array_equal(await bodies.get(LOW, voxels.shape), voxels)
    assert await bodies.split(5, here) == int(voxels.max()) + 1
    assert not repo.instance("bodies").live_stages
    found = await bodies.get(LOW, voxels.shape)
    assert np.array_equal(found, np.where(voxels == 5, voxels.max() + np.uint64(1), voxels))
