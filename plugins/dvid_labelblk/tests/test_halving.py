"""A labelblk that follows another one is its downsampling at rest."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import pytest_asyncio
from dvid_labelblk.halving import voted

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import Array, Place, Triple, cells, sparse

SIDE = 16


def halved(voxels: Array) -> Array:
    """By the rule: of each 2 x 2 x 2 the most frequent label, also 0; the largest of equals."""
    out = np.zeros([s // 2 for s in voxels.shape], np.uint64)
    for at in np.ndindex(*out.shape):
        z, y, x = (2 * i for i in at)
        found, counts = np.unique(voxels[z : z + 2, y : y + 2, x : x + 2], return_counts=True)
        out[at] = found[counts == counts.max()].max()
    return out


@pytest.mark.parametrize("seed", range(4))
def test_votes_are_counted_as_the_rule_says(seed: int) -> None:
    voxels = np.random.default_rng(seed).integers(0, (2, 3, 8, 2**63)[seed], (8, 6, 10)).astype(np.uint64)
    assert (voted(voxels) == halved(voxels)).all()
    assert (voted(voxels.transpose(2, 0, 1)) == halved(voxels.transpose(2, 0, 1))).all()


async def chain(server: RunningServer, *names: str) -> list[Place]:
    """Instances each of which follows the one before."""
    uuid = await server.repo()
    for name in names:
        await server.instance(uuid, name, "labelblk", BlockSize="16,16,16")
    for above, name in itertools.pairwise(names):
        await server.post(f"/api/node/{uuid}/{name}/sync", json={"sync": above})
    return [Place(server, uuid, name) for name in names]


@pytest_asyncio.fixture
async def volumes(server: RunningServer) -> list[Place]:
    return await chain(server, "full", "half", "quarter")


LOW: Triple = (-32, -64, 32)
SIZE: Triple = (64, 64, 64)


async def check(server: RunningServer, volumes: list[Place], voxels: Array) -> None:
    await server.server.bus.idle()
    low, size = LOW, SIZE
    for volume in volumes:
        assert (await volume.get(low, size) == voxels).all(), volume.name
        voxels, low, size = halved(voxels), _half(low), _half(size)


def _half(zyx: Triple) -> Triple:
    z, y, x = zyx
    return z // 2, y // 2, x // 2


async def test_writes_of_any_blocks_are_followed_also_at_negative_coordinates(
    server: RunningServer, volumes: list[Place]
) -> None:
    voxels = cells(SIZE)
    await volumes[0].put(LOW, voxels)
    await check(server, volumes, voxels)
    choose = random.Random(2)
    for seed in range(8):
        at = tuple(choose.randrange(4) * SIDE for _ in range(3))
        block = cells((SIDE, SIDE, SIDE), seed=seed, zeros=0.5)
        voxels[tuple(slice(a, a + SIDE) for a in at)] = block
        await volumes[0].put(tuple(o + a for o, a in zip(LOW, at)), block, "?mutate=true")  # type: ignore[arg-type]
    await check(server, volumes, voxels)
    extents = (await server.get(f"{volumes[1].path}/info"))["Extended"]
    assert (extents["MinPoint"], extents["MaxPoint"]) == ([16, -32, -16], [47, -1, 15])


async def test_merges_and_splits_of_a_labelvol_pass_through(server: RunningServer, volumes: list[Place]) -> None:
    full = volumes[0]
    bodies = Place(server, full.uuid, "bodies")
    await server.instance(full.uuid, "bodies", "labelvol", BlockSize="16,16,16")
    await server.post(f"{bodies.path}/sync", json={"sync": "full"})
    await server.post(f"{full.path}/sync", json={"sync": "bodies"})
    voxels = cells(SIZE)
    await full.put(LOW, voxels)
    await server.post(f"{bodies.path}/merge", json=[1, 2, 3])
    voxels[(voxels == 2) | (voxels == 3)] = 1
    points = np.argwhere(voxels == 4)[::3]
    new = (await server.post(f"{bodies.path}/split/4", sparse(points + np.array(LOW))))["label"]
    voxels[tuple(points.T)] = new
    await check(server, volumes, voxels)


async def test_a_block_of_other_blocks_is_written_where_it_was_in_part_only(server: RunningServer) -> None:
    full, half = await chain(server, "full", "half")
    first, second = cells((16, 16, 16), seed=1), cells((16, 16, 16), seed=2)
    await full.put((0, 0, 0), first)
    await full.put((16, 0, 16), second)
    await server.server.bus.idle()
    found = await half.get((0, 0, 0), (16, 16, 16))
    wanted = np.zeros((16, 16, 16), np.uint64)
    wanted[:8, :8, :8], wanted[8:, :8, 8:] = halved(first), halved(second)
    assert (found == wanted).all()
