"""Boxes, and the blocks they touch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dvid_voxels.arrays import overlap
from dvid_voxels.geometry import Box, Triple

triples = st.tuples(*[st.integers(-40, 40)] * 3)
sizes = st.tuples(*[st.integers(1, 30)] * 3)
blocks = st.tuples(*[st.integers(1, 9)] * 3)
boxes = st.builds(Box, triples, sizes)


def points(box: Box) -> set[Triple]:
    return set(box.points())


@given(boxes, blocks)
def test_the_blocks_of_a_box_are_those_of_its_voxels(box: Box, block: Triple) -> None:
    wanted = {(z // block[0], y // block[1], x // block[2]) for z, y, x in box.points()}
    assert points(box.blocks(block)) == wanted


@given(boxes, blocks)
def test_the_voxels_of_its_blocks_hold_a_box(box: Box, block: Triple) -> None:
    whole = box.blocks(block).voxels(block)
    assert whole.contains(box)
    assert whole.is_aligned(block)
    assert box.is_aligned(block) == (whole == box)


@given(boxes, boxes)
def test_what_two_boxes_share_is_what_their_points_share(a: Box, b: Box) -> None:
    shared = a.common(b)
    assert (points(shared) if shared else set()) == points(a) & points(b)
    assert a.union(b).contains(a)
    assert a.union(b).contains(b)
    assert a.contains(b) == (points(b) <= points(a))


@given(boxes, blocks, st.integers(1, 3), st.integers(1, 2000))
def test_layers_and_tiles_have_each_voxel_once_and_cut_no_block(
    box: Box, block: Triple, depth: int, voxels: int
) -> None:
    seen: list[Triple] = []
    for layer in box.layers(block, depth):
        assert layer.blocks(block).size[0] <= depth
        for tile in layer.tiles(block, voxels):
            seen += tile.points()
            for low, high, b, first, last in zip(tile.low, tile.high, block, box.low, box.high):
                assert low in (first,) or low % b == 0
                assert high in (last,) or high % b == 0
    assert len(seen) == box.count
    assert set(seen) == points(box)


def test_layers_come_in_the_order_of_the_voxels() -> None:
    box = Box((-5, 0, 0), (12, 1, 1))
    assert [(b.low[0], b.size[0]) for b in box.layers((4, 4, 4))] == [(-5, 1), (-4, 4), (0, 4), (4, 3)]


@given(boxes, triples, blocks)
def test_overlap_agrees_with_boxes(box: Box, at: Triple, block: Triple) -> None:
    whole = Box(at, (1, 1, 1)).voxels(block)
    part = whole.common(box)
    found = overlap(at, block, box)
    if part is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == part.slices(box)
        assert (found[1] or whole.slices(whole)) == part.slices(whole)


def test_slices_find_a_box_in_an_array() -> None:
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    outer, inner = Box((-1, 2, 3), (4, 5, 6)), Box((0, 3, 5), (2, 1, 3))
    assert (array[inner.slices(outer)] == array[1:3, 1:2, 2:5]).all()
