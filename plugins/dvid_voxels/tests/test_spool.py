"""Layers between a stream and blocks."""

from __future__ import annotations

import numpy as np
import pytest

from dvid_voxels.geometry import Box
from dvid_voxels.spool import Spool

BOX = Box((-3, 5, 2), (7, 9, 11))


@pytest.fixture(params=[True, False], ids=["memory", "file"])
def in_memory(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("item", ["u1", "<u8"])
def test_a_stream_is_read_in_boxes(in_memory: bool, item: str) -> None:
    voxels = np.arange(BOX.count).astype(item).reshape(BOX.size)
    data = voxels.tobytes()
    with Spool(BOX, item, in_memory=in_memory) as spool:
        for at in range(0, len(data), 100):
            spool.append(memoryview(data)[at : at + 100])
        assert spool.filled == spool.nbytes == len(data)
        assert spool.piece(10, 50) == data[10:60]
        for layer in BOX.layers((4, 4, 4)):
            for tile in layer.tiles((4, 4, 4), 64):
                assert (spool.get(tile) == voxels[tile.slices(BOX)]).all()


def test_boxes_are_read_as_a_stream(in_memory: bool) -> None:
    voxels = np.arange(BOX.count).astype("<u2").reshape(BOX.size)
    with Spool(BOX, "<u2", in_memory=in_memory) as spool:
        for tile in BOX.tiles((4, 4, 4), 64):
            spool.put(tile, voxels[tile.slices(BOX)])
        assert spool.piece(0, spool.nbytes) == voxels.tobytes()


def test_what_was_not_written_to_a_file_is_0() -> None:
    with Spool(BOX, "u1", in_memory=False) as spool:
        assert spool.piece(0, spool.nbytes) == bytes(BOX.count)
