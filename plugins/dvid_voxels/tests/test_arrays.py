"""Kernels between blocks and arrays, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_core.testing import assert_releases_gil
from dvid_voxels.arrays import cover, gather, scatter
from dvid_voxels.codecs import Codec, Tag
from dvid_voxels.geometry import Box, Triple

ITEMS = ("u1", "<u2", "<u4", "<u8")
boxes = st.builds(Box, st.tuples(*[st.integers(-12, 12)] * 3), st.tuples(*[st.integers(1, 20)] * 3))
shapes = st.tuples(*[st.integers(1, 8)] * 3)


@given(boxes, boxes, shapes, st.sampled_from(ITEMS), st.integers(0, 2**32 - 1))
def test_what_is_scattered_is_gathered_again(first: Box, second: Box, block: Triple, item: str, seed: int) -> None:
    """Two boxes written one over the other into blocks, and read in a box that has both."""
    codec = Codec(block, item, Tag.RAW)
    rng = np.random.default_rng(seed)
    whole = first.union(second)
    wanted = np.zeros(whole.size, item)
    stored: dict[Triple, bytes] = {}
    for box in (first, second):
        source = rng.integers(0, 255, (*box.size, np.dtype(item).itemsize), np.uint8).view(item)[..., 0]
        wanted[box.slices(whole)] = source
        names = list(box.blocks(block).points())
        stored |= dict(zip(names, scatter(source, box, codec, names, dict(stored)), strict=True))
    out = np.zeros(whole.size, item)
    gather(out, whole, codec, stored.items())
    assert (out == wanted).all()
    part = np.zeros(second.size, item)
    gather(part, second, codec, stored.items())
    assert (part == wanted[second.slices(whole)]).all()


def test_scatter_keeps_the_other_voxels_of_a_block() -> None:
    codec = Codec((4, 4, 4), "u1", Tag.RAW)
    old = np.full((4, 4, 4), 7, np.uint8)
    [new] = scatter(np.full((1, 2, 3), 9, np.uint8), Box((1, 1, 1), (1, 2, 3)), codec, [(0, 0, 0)],
                    {(0, 0, 0): codec.encode(old)})  # fmt: skip
    old[1:2, 1:3, 1:4] = 9
    assert (codec.decode(new) == old).all()


@pytest.mark.parametrize("item", ITEMS)
def test_cover_fills_every_byte_of_a_block_and_no_other(item: str) -> None:
    out = np.zeros((4, 4, 6), item)
    cover(out, Box((0, 0, 1), (4, 4, 6)), (4, 4, 4), [(0, 0, 0), (9, 9, 9)], 0x4D)
    wanted = np.zeros_like(out)
    wanted[:, :, :3] = int.from_bytes(b"\x4d" * out.itemsize, "little")
    assert (out == wanted).all()


@pytest.mark.parametrize("kernel", ["gather", "scatter"])
def test_kernels_release_the_gil(kernel: str) -> None:
    codec = Codec((128, 128, 128), "u1")
    box = Box((3, 3, 3), (256, 256, 256))
    rng = np.random.default_rng(0)
    source = rng.integers(0, 20, box.size, np.uint8)
    names = list(box.blocks(codec.shape).points())
    stored = scatter(source, box, codec, names, {})
    if kernel == "gather":
        assert_releases_gil(gather, np.zeros(box.size, np.uint8), box, codec, list(zip(names, stored)))
    else:
        assert_releases_gil(scatter, source, box, codec, names, {})
