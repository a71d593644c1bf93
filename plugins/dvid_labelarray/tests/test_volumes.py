"""Voxels, sparse volumes and settings where labelarray has its own ways."""

from __future__ import annotations

import numpy as np
import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.testing.volume import Triple, cells, halved, points_of

from .bodies import Bodies, new_bodies


@pytest.mark.parametrize("block", ["8,8,8", "24,16,40"])
async def test_sides_of_blocks_are_multiples_of_8(server: RunningServer, block: str) -> None:
    bodies = await new_bodies(server, BlockSize=block)
    low: Triple = (-240, 0, -240)
    voxels = cells((80, 64, 96), count=6)
    voxels = np.pad(voxels, ((0, 0), (0, 0), (0, 24)))[:, :48, :120]
    await bodies.put(low, voxels)
    await bodies.merge(1, 2)
    voxels[voxels == 2] = 1
    at, scaled = low, voxels
    for scale in range(3):
        assert np.array_equal(await bodies.get(at, scaled.shape, f"?scale={scale}"), scaled)
        at, scaled = (at[0] // 2, at[1] // 2, at[2] // 2), halved(scaled)
    found = await bodies.points(1)
    assert found is not None and np.array_equal(found, np.argwhere(voxels == 1) + np.array(low))


async def test_runs_stick_out_of_maxx_only_in_cells_that_are_all_of_the_body(bodies: Bodies) -> None:
    rng = np.random.default_rng(4)
    voxels = np.full((32, 32, 48), 7, np.uint64)
    voxels[:16] = cells((16, 32, 48), count=3, first=6)
    voxels[16:24, :8, 8:16] = 9
    await bodies.put((0, 0, 0), voxels)
    here = voxels == 7
    # A cell of 8 x 8 x 8 voxels that is all of the body, in a block that is not.
    cell = here.reshape(4, 8, 4, 8, 6, 8).all(axis=(1, 3, 5))
    block = here.reshape(2, 16, 2, 16, 3, 16).all(axis=(1, 3, 5))
    cell &= ~block.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert cell.any()
    loose = cell.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    for _ in range(20):
        low, high = np.sort(rng.integers(0, (32, 32, 48), (2, 3)), axis=0)
        z, y, x = np.indices(voxels.shape)
        inside = (z >= low[0]) & (z <= high[0]) & (y >= low[1]) & (y <= high[1]) & (x >= low[2])
        wanted = here & inside & ((x <= high[2]) | (loose & (x // 8 == high[2] // 8)))
        names = ("minz", "miny", "minx", "maxz", "maxy", "maxx")
        options = "?" + "&".join(f"{name}={n}" for name, n in zip(names, [*low.tolist(), *high.tolist()]))
        found = await bodies.points(7, options)
        assert np.array_equal(np.empty((0, 3)) if found is None else found, np.argwhere(wanted))
        answer = await bodies.ask("GET", f"sparsevol/7{options}&format=srles")
        if answer.status == 200:
            head = b"\0\3\0\0\0\0\0\0" + (len(answer.body) // 16).to_bytes(4, "little")
            assert np.array_equal(points_of(head + answer.body), np.argwhere(wanted))


async def test_a_sparse_volume_at_a_scale_is_that_of_the_voxels_there(bodies: Bodies) -> None:
    voxels = cells((64, 64, 64))
    await bodies.put((-64, -64, -64), voxels)
    scaled, low = voxels, -64
    for scale in range(3):
        for label in (1, 5, 12):
            found = await bodies.points(label, f"?scale={scale}")
            assert found is not None and np.array_equal(found, np.argwhere(scaled == label) + low)
        scaled, low = halved(scaled), low // 2
    x, y, z = 3, 4, 5
    label = int(voxels[z, y, x])
    answer = await bodies.ask("GET", f"sparsevol-by-point/{x - 64}_{y - 64}_{z - 64}")
    assert np.array_equal(points_of(answer.body), np.argwhere(voxels == label) - 64)


async def test_voxels_that_are_written_over_leave_their_bodies(bodies: Bodies) -> None:
    voxels = cells((48, 48, 48))
    await bodies.put((0, 0, 0), np.full((48, 48, 48), 30, np.uint64))
    await bodies.put((0, 0, 0), voxels)
    await bodies.check((0, 0, 0), voxels, 30)


async def test_max_label_is_that_of_the_nearest_ancestor(server: RunningServer, bodies: Bodies) -> None:
    await bodies.put((0, 0, 0), cells((16, 16, 16)))
    await server.commit(bodies.uuid)
    child = bodies.at(await server.newversion(bodies.uuid))
    assert await server.get(f"{child.path}/maxlabel") == {"maxlabel": 12}
    info = await server.get(f"{child.path}/info")
    assert info["Extended"]["MaxLabel"] == {bodies.uuid: 12}
    assert info["Extended"]["MaxRepoLabel"] == 12


async def test_a_refused_split_uses_up_no_label(bodies: Bodies) -> None:
    await bodies.put((0, 0, 0), cells((16, 16, 16)))
    await bodies.refused(
        "POST", "split/5", b"\0\3\0\0" + bytes(4) + b"\1\0\0\0" + np.array([99, 99, 99, 1], "<i4").tobytes()
    )
    assert await bodies.api.get(f"{bodies.path}/nextlabel") == {"nextlabel": 13}


async def test_what_was_posted_to_info_changes_nothing(bodies: Bodies) -> None:
    before = await bodies.api.get(f"{bodies.path}/info")
    assert await bodies.api.post(f"{bodies.path}/info", json={"VoxelSize": "1,1,1"}) == before
    assert await bodies.api.get(f"{bodies.path}/info") == before
