"""Merges and splits against a plain array, with blocks that go into the commit and with blocks that are staged."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.segmentation import rewriting
from dvid_voxels.testing.volume import Triple, cells

from .bodies import SIDE, Bodies, runs

LOW: Triple = (-32, 0, -64)
SIZE: Triple = (64, 64, 64)


@pytest.fixture(params=["together", "staged"])
def size_of_edits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the blocks of an edit go into its commit, or into packages that are moved afterwards."""
    if request.param == "staged":
        monkeypatch.setattr(rewriting, "DIRECT", 0)
        monkeypatch.setattr(rewriting, "BYTES", 4000)
    return str(request.param)


@pytest.mark.usefixtures("size_of_edits")
@pytest.mark.parametrize("seed", range(3))
async def test_after_any_edits_voxels_scales_and_indices_agree(bodies: Bodies, seed: int) -> None:
    rng = np.random.default_rng(seed)
    voxels = cells(SIZE, seed=seed, count=20)
    await bodies.put(LOW, voxels)
    known, largest = set(range(1, 21)), 20
    for _ in range(10):
        present = np.unique(voxels[voxels > 0]).tolist()
        kind = rng.choice(["merge", "split", "coarse", "write"])
        label = int(rng.choice(present))
        if kind == "merge":
            others = [int(n) for n in rng.choice([*present, 900 + seed], 3, replace=False) if n != label]
            await bodies.merge(label, *others)
            voxels[np.isin(voxels, others)] = label
        elif kind == "split":
            here = np.argwhere(voxels == label)
            some = here[rng.random(len(here)) < rng.choice([0.01, 0.5, 1.0])]
            some = some if len(some) else here[:1]
            given = int(rng.choice([0, 5000 + seed, int(rng.choice(present))]))
            given = 0 if given == label else given
            new = await bodies.split(label, some + np.array(LOW), f"?splitlabel={given}" if given else "")
            assert new == (given or largest + 1)
            voxels[tuple(some.T)] = new
            largest = max(largest, new)
        elif kind == "coarse":
            blocks = np.unique(np.argwhere(voxels == label) // SIDE, axis=0)
            some = blocks[rng.random(len(blocks)) < 0.5]
            some = some if len(some) else blocks[:1]
            new = await bodies.split_coarse(label, some + np.array(LOW) // SIDE)
            assert new == largest + 1
            for z, y, x in (some * SIDE).tolist():
                box = voxels[z : z + SIDE, y : y + SIDE, x : x + SIDE]
                box[box == label] = new
            largest = new
        else:
            z, y, x = (int(n) * SIDE for n in rng.integers(0, 4, 3))
            fresh = cells((SIDE, SIDE, SIDE), seed=int(rng.integers(1000)), count=20)
            await bodies.put((LOW[0] + z, LOW[1] + y, LOW[2] + x), fresh, "?mutate=true")
            voxels[z : z + SIDE, y : y + SIDE, x : x + SIDE] = fresh
        known |= set(np.unique(voxels).tolist())
    gone = known - set(np.unique(voxels).tolist())
    await bodies.check(LOW, voxels, *gone)
    assert await bodies.api.get(f"{bodies.path}/maxlabel") == {"maxlabel": largest}
    assert await bodies.api.get(f"{bodies.path}/nextlabel") == {"nextlabel": largest + 1}


@pytest.mark.usefixtures("size_of_edits")
async def test_edits_by_many_clients_leave_each_voxel_in_one_body(bodies: Bodies) -> None:
    voxels = cells(SIZE, count=30)
    await bodies.put(LOW, voxels)
    whole = {label: np.argwhere(voxels == label) + np.array(LOW) for label in range(1, 31)}

    async def edit(first: int) -> None:
        for label in range(first, 31, 3):
            some = whole[label][::7]
            await asyncio.gather(
                bodies.ask("POST", "merge", b"[%d, %d]" % (first, label)),
                bodies.ask("POST", f"split/{label}", runs(*((x, y, z, 1) for z, y, x in some.tolist()))),
                bodies.put((0, 0, LOW[2]), cells((16, 16, 32), seed=label, count=30)),
            )

    await asyncio.gather(*map(edit, (1, 2, 3)))
    found = await bodies.get(LOW, SIZE)
    await bodies.check(LOW, found, *(set(range(1, 31)) - set(np.unique(found).tolist())))


@pytest.mark.usefixtures("size_of_edits")
async def test_edits_stay_on_their_branch(server: RunningServer, bodies: Bodies) -> None:
    voxels = cells(SIZE)
    await bodies.put(LOW, voxels)
    await server.commit(bodies.uuid)
    child = bodies.at(await server.newversion(bodies.uuid))
    side = bodies.at(await server.branch(bodies.uuid, "side"))
    await child.merge(1, 2, 3)
    split = np.argwhere(voxels == 4)[::2]
    assert await side.split(4, split + np.array(LOW)) == 13
    assert await child.split(5, np.argwhere(voxels == 5)[::3] + np.array(LOW)) == 14
    await bodies.refused("POST", "merge", b"[1, 2]")
    await bodies.check(LOW, voxels, 13, 14)
    other = voxels.copy()
    other[tuple(split.T)] = 13
    await side.check(LOW, other, 14)
    voxels[np.isin(voxels, (2, 3))] = 1
    voxels[tuple(np.argwhere(voxels == 5)[::3].T)] = 14
    await child.check(LOW, voxels, 2, 3, 13)
    await server.commit(child.uuid)
    await child.at(await server.newversion(child.uuid)).check(LOW, voxels, 2, 3, 13)
