"""Blocks of the next scale."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dvid_voxels import labels
from dvid_voxels.labels import BadBlock

from . import slow
from .slow import SIZES, Array, Triple

OCTANTS = list(product(range(2), repeat=3))


def octant(size: Triple, at: Triple) -> tuple[slice, slice, slice]:
    z, y, x = (slice(o * s // 2, (o + 1) * s // 2) for o, s in zip(at, size))
    return z, y, x


def children_of(voxels: Array, size: Triple) -> list[bytes | None]:
    return list(labels.encode_blocks(voxels, size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [*slow.KINDS, "pairs"])
def test_voxels_are_voted(kind: str, size: Triple) -> None:
    z, y, x = size
    shape = (2 * z, 2 * y, 2 * x)
    if kind == "pairs":
        voxels = np.random.default_rng(0).choice(np.array([0, 0, 2**64 - 1, 1, 2**63], np.uint64), shape)
    else:
        voxels = slow.volume(kind, shape)
    parent = labels.downres(children_of(voxels, size), size)
    labels.check(parent, size)
    assert np.array_equal(slow.decode(parent), slow.vote(voxels))
    assert parent == labels.encode(slow.vote(voxels))


def test_votes_are_for_labels_not_for_entries() -> None:
    # A label that stands twice in a sub-block has the votes of both.
    values = [0, 1, 2, 2] * 128
    cells: list[slow.Cell] = [([0, 1, 2], values)] * 8
    child = slow.write((16, 16, 16), [9, 9, 5], cells)
    parent = labels.downres([child] * 8, (16, 16, 16))
    voxels = np.tile(slow.decode(child), (2, 2, 2))
    assert np.array_equal(slow.decode(parent), slow.vote(voxels))


def test_blocks_nobody_would_write_are_voted() -> None:
    rng, size = np.random.default_rng(4), (16, 16, 24)
    children: list[bytes | None] = [slow.random_block(size, rng) for _ in OCTANTS]
    voxels = np.zeros((32, 32, 48), np.uint64)
    for (z, y, x), child in zip(OCTANTS, children):
        assert child is not None
        voxels[16 * z : 16 * z + 16, 16 * y : 16 * y + 16, 24 * x : 24 * x + 24] = slow.decode(child)
    assert np.array_equal(slow.decode(labels.downres(children, size)), slow.vote(voxels))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("untouched", [(0,), (2, 5), (0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4, 5, 6, 7)], ids=str)
@pytest.mark.parametrize("old", ["cells", "flat", None])
def test_octants_not_touched_stay(size: Triple, untouched: tuple[int, ...], old: str | None) -> None:
    z, y, x = size
    voxels = slow.volume("cells", (2 * z, 2 * y, 2 * x), 1)
    children = children_of(voxels, size)
    before = np.zeros(size, np.uint64) if old is None else slow.volume(old, size, 2)
    wanted = slow.vote(voxels)
    for n in untouched:
        children[n] = None
        wanted[octant(size, OCTANTS[n])] = before[octant(size, OCTANTS[n])]
    parent = labels.downres(children, size, None if old is None else labels.encode(before))
    assert np.array_equal(slow.decode(parent), wanted)


def test_a_child_of_zeros_is_touched() -> None:
    size = (16, 16, 16)
    parent = labels.downres([labels.zero(size), *[None] * 7], size, labels.solid(4, size))
    wanted = np.full(size, 4, np.uint64)
    wanted[:8, :8, :8] = 0
    assert np.array_equal(slow.decode(parent), wanted)


def test_a_broken_child_is_refused() -> None:
    size = (16, 16, 16)
    broken = slow.random_block(size, np.random.default_rng(0))[:-1]
    with pytest.raises(BadBlock):
        labels.downres([broken, *[None] * 7], size)
    with pytest.raises(BadBlock):
        labels.downres([labels.zero((16, 16, 32)), *[None] * 7], size)
    with pytest.raises(ValueError, match="eight"):
        labels.downres([labels.zero(size)], size)
