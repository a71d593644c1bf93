"""What other types ask of an roi."""

from __future__ import annotations

import numpy as np
import pytest

from dvid_core import BadRequest, UnknownInstance, View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.geometry import Box
from dvid_voxels.peers import RoiMask, Voxels
from dvid_voxels.regions import Region

from .conftest import new_roi
from .place import Place


def view_of(place: Place) -> View:
    repo, node = place.server.server.repos.find(place.uuid)
    return View(repo.instance("r"), node)


async def test_a_mask_has_the_blocks_of_the_asked_version(roi: Place) -> None:
    await roi.put([[0, 0, 0, 1], [1, 1, 1, 1]])
    child = await roi.child()
    await child.put([[0, 0, 1, 1]])
    box = Box((0, 0, 0), (2, 2, 2))
    old = await (await view_of(roi).peer("r", RoiMask)).inside(box)
    new = await (await view_of(child).peer("r", RoiMask)).inside(box)
    assert old.tolist() == [[[True, True], [False, False]], [[False, False], [False, True]]]
    assert new.tolist() == [[[False, True], [False, False]], [[False, False], [False, False]]]


async def test_a_region_answers_for_blocks_voxels_and_extents(server: RunningServer) -> None:
    roi = await new_roi(server, BlockSize="64,16,8")
    region = await view_of(roi).peer("r", Region)
    assert await region.extents() is None
    await roi.put([[-1, 2, 3, 5], [4, -6, 0, 0]])
    region = await view_of(roi).peer("r", Region)
    assert region.block == (8, 16, 64)
    assert await region.extents() == Box((-1, -6, 0), (6, 9, 6))
    assert (await region.has_blocks(np.array([[-1, 2, 5], [-1, 2, 6]], np.int32))).tolist() == [True, False]
    assert (await region.has_voxels(np.array([[-8, 32, 192], [0, 32, 192]], np.int32))).tolist() == [True, False]
    assert [part.tolist() async for part in region.spans(0, 9)] == [[[4, -6, 0, 0]]]


async def test_what_an_roi_does_not_offer_is_refused(roi: Place) -> None:
    with pytest.raises(BadRequest):
        await view_of(roi).peer("r", Voxels)
    with pytest.raises(UnknownInstance):
        await view_of(roi).peer("nothing", RoiMask)
