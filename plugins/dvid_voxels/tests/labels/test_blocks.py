"""Voxels into blocks and back, and looking into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dvid_voxels import labels
from dvid_voxels.geometry import Box

from . import slow
from .slow import KINDS, SIZES, Triple


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_packed_is_unpacked(kind: str, size: Triple) -> None:
    voxels = slow.volume(kind, size)
    block = labels.encode(voxels)
    labels.check(block, size)
    assert np.array_equal(labels.decode(block, size), voxels)
    assert np.array_equal(slow.decode(block), voxels)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.uint64, (16, 8, 16), elements=st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
    ),
    st.integers(1, 600),
)
def test_any_voxels_are_packed(voxels: slow.Array, most: int) -> None:
    voxels = voxels % np.uint64(most)
    block = labels.encode(voxels)
    labels.check(block, (16, 8, 16))
    assert np.array_equal(slow.decode(block), voxels)
    assert np.array_equal(labels.decode(block), voxels)


def test_each_number_of_labels_in_a_sub_block_is_packed_and_counted() -> None:
    for n in (*range(1, 34), 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512):
        voxels = (np.random.default_rng(n).permutation(512) % n).astype(np.uint64).reshape(8, 8, 8) + np.uint64(2**40)
        block = labels.encode(voxels)
        assert np.array_equal(slow.decode(block), voxels)
        assert np.array_equal(labels.decode(block), voxels)
        assert labels.counts(block).voxels.tolist() == np.unique(voxels, return_counts=True)[1].tolist()


def test_a_block_of_very_many_labels_is_packed() -> None:
    voxels = np.random.default_rng(0).permutation(32**3).astype(np.uint64).reshape(32, 32, 32)
    block = labels.encode(voxels)
    labels.check(block, (32, 32, 32))
    assert np.array_equal(labels.decode(block), voxels)
    assert len(labels.counts(block).labels) == 32**3


def test_arrays_are_read_where_they_lie() -> None:
    voxels = slow.volume("cells", (16, 24, 32))
    wanted = labels.encode(voxels)
    for view in (
        np.asfortranarray(voxels),
        np.repeat(voxels, 2, axis=2)[:, :, ::2],
        voxels[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        np.pad(voxels, 3)[3:-3, 3:-3, 3:-3],
    ):
        assert labels.encode(view) == wanted
    frozen = voxels.copy()
    frozen.flags.writeable = False
    assert labels.encode(frozen) == wanted


def test_a_box_is_cut_into_blocks() -> None:
    size, box = (16, 8, 32), Box((0, 0, 0), (2, 3, 2))
    voxels = slow.volume("cells", box.voxels(size).size)
    blocks = labels.encode_blocks(voxels, size)
    for at, block in zip(box.points(), blocks, strict=True):
        part = voxels[Box(at, (1, 1, 1)).voxels(size).slices(box.voxels(size))]
        assert block == labels.encode(np.ascontiguousarray(part))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((16, 16, 16), np.int64),
        np.zeros((16, 16, 16), ">u8"),
        np.zeros((16, 16), np.uint64),
        np.zeros((0, 16, 16), np.uint64),
        np.zeros((16, 16, 12), np.uint64),
        np.zeros((8, 8, 1032), np.uint64),
    ],
)
def test_other_arrays_are_refused(array: slow.Array) -> None:
    with pytest.raises(ValueError, match=r"uint64|multiples of 8"):
        labels.encode(array)


def test_a_box_that_does_not_consist_of_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="does not consist of blocks"):
        labels.encode_blocks(np.zeros((16, 16, 24), np.uint64), (16, 16, 16))


@pytest.mark.parametrize("offset", [(0, 0, 0), (3, 5, 7), (-9, -3, -1), (30, 0, 0), (5, -15, 20), (-16, 0, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_block_is_written_into_an_array(offset: Triple, order: str) -> None:
    size = (16, 16, 24)
    block = slow.random_block(size, np.random.default_rng(1))
    room = np.full((80, 80, 80), 77, np.uint64)
    low = tuple(20 + o for o in offset)
    room[low[0] : low[0] + 16, low[1] : low[1] + 16, low[2] : low[2] + 24] = slow.decode(block)
    out = np.full((33, 20, 21), 77, np.uint64, order=order)  # type: ignore[call-overload]
    labels.decode_into(block, out, offset)
    assert np.array_equal(out, room[20:53, 20:40, 20:41])


def test_blocks_nobody_would_write_are_read() -> None:
    rng = np.random.default_rng(5)
    for size in SIZES:
        block = slow.random_block(size, rng)
        labels.check(block, size)
        voxels = slow.decode(block)
        assert np.array_equal(labels.decode(block), voxels)
        found = labels.counts(block)
        wanted = np.unique(voxels, return_counts=True)
        assert (found.labels.tolist(), found.voxels.tolist()) == (wanted[0].tolist(), wanted[1].tolist())
        points = rng.integers(0, size, (300, 3))
        assert [labels.label_at(block, *point) for point in points.tolist()] == voxels[tuple(points.T)].tolist()
        assert labels.compact(block) == labels.encode(voxels)


def test_points_outside_of_a_block_are_refused() -> None:
    block = labels.solid(3, (16, 16, 32))
    for point in ((16, 0, 0), (0, 16, 0), (0, 0, 32), (-1, 0, 0)):
        with pytest.raises(IndexError):
            labels.label_at(block, *point)
        with pytest.raises(IndexError):
            labels.labels_at(block, np.array([(0, 0, 0), point]))
    assert labels.labels_at(block, np.empty((0, 3), int)).tolist() == []


def test_a_solid_block_is_24_bytes() -> None:
    block = labels.solid(2**64 - 1, (64, 32, 16))
    assert len(block) == 24
    assert labels.is_solid(block)
    assert labels.encode(np.full((64, 32, 16), 2**64 - 1, np.uint64)) == block
    assert labels.zero((64, 32, 16)) == labels.solid(0, (64, 32, 16))
    assert labels.counts(block).voxels.tolist() == [64 * 32 * 16]


def test_blocks_may_come_as_any_bytes() -> None:
    block = slow.random_block((16, 16, 16), np.random.default_rng(2))
    for form in (bytearray(block), memoryview(b"x" + block)[1:]):
        labels.check(form, (16, 16, 16))
        assert np.array_equal(labels.decode(form), slow.decode(block))
        assert labels.label_at(form, 3, 4, 5) == slow.decode(block)[3, 4, 5]
        assert labels.relabel(form, labels.table(form)) == block
