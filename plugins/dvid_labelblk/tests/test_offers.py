"""What a labelblk offers other datatypes."""

from __future__ import annotations

import numpy as np
import pytest

from dvid_core import View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels import labels
from dvid_voxels.label_events import LabelBlocks, LabelsAt
from dvid_voxels.testing.volume import Array, Place, Triple, cells

LOW: Triple = (-16, 0, 16)
VOXELS = cells((80, 64, 96))


async def filled(server: RunningServer) -> Place:
    """A volume of 120 blocks."""
    uuid = await server.repo()
    await server.instance(uuid, "seg", "labelblk", BlockSize="16,16,16")
    volume = Place(server, uuid, "seg")
    await volume.put(LOW, VOXELS)
    return volume


def view_of(server: RunningServer, volume: Place) -> View:
    repo, node = server.server.repos.find(volume.uuid)
    return View(repo.instance(volume.name), node)


def voxels_at(at: Triple) -> Array:
    z, y, x = (16 * n - o for n, o in zip(at, LOW))
    return VOXELS[z : z + 16, y : y + 16, x : x + 16]


async def test_all_stored_blocks_come_page_by_page_and_from_a_block_on(server: RunningServer) -> None:
    view = view_of(server, await filled(server))
    peer = await view.peer("seg", LabelBlocks)
    assert peer.block == (16, 16, 16)
    pages = [page async for page in peer.pages()]
    found = [pair for page in pages for pair in page]
    assert len(pages) > 1 and max(map(len, pages)) < 120
    names = [at for at, _ in found]
    assert names == sorted(set(names)) and len(names) == 120
    for at, block in found:
        assert (labels.decode(block) == voxels_at(at)).all()
    rest = [pair async for page in peer.pages(after=names[70]) for pair in page]
    assert rest == found[71:]
    assert await peer.named([(99, 99, 99), names[3]]) == [found[3]]


async def test_a_version_offers_what_it_sees(server: RunningServer) -> None:
    volume = await filled(server)
    await server.commit(volume.uuid)
    child = Place(server, await server.newversion(volume.uuid), "seg")
    await child.put((0, 0, 16), np.full((16, 16, 16), 5, np.uint64))
    [(_, old)], [(_, new)] = [
        await (await view_of(server, place).peer("seg", LabelBlocks)).named([(0, 0, 1)]) for place in (volume, child)
    ]
    assert (labels.decode(old) == voxels_at((0, 0, 1))).all()
    assert (labels.decode(new) == 5).all()


@pytest.mark.parametrize("supervoxels", [False, True])
async def test_labels_are_their_own_bodies(server: RunningServer, supervoxels: bool) -> None:
    peer = await view_of(server, await filled(server)).peer("seg", LabelsAt)
    points = np.array([LOW, (0, 0, 0), (40, 20, 60)])
    found = await peer.labels_at(points, supervoxels=supervoxels)
    assert found.tolist() == [VOXELS[0, 0, 0], 0, VOXELS[56, 20, 44]]
    assert (await peer.bodies_of(np.array([3, 9], np.uint64))).tolist() == [3, 9]
    one = await peer.supervoxels_of(3)
    assert one is not None and one.tolist() == [3]
