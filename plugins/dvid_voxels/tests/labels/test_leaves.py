"""Sub-blocks of chosen labels as NanoVDB has them."""

from __future__ import annotations

import numpy as np
import pytest

from dvid_core.testing import assert_releases_gil
from dvid_voxels import labels
from dvid_voxels.geometry import Box
from dvid_voxels.labels import Blocks

from . import slow
from .slow import SIZES, Array, Triple

GRID = Box((-1, 0, -2), (2, 2, 3))


def volume(kind: str, size: Triple) -> tuple[Blocks, Array, Box]:
    box = GRID.voxels(size)
    voxels = slow.volume(kind, box.size, 4)
    return Blocks.of(list(zip(GRID.points(), labels.encode_blocks(voxels, size))), size), voxels, box


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["flat", "cells", "few"])
def test_leaves_have_the_voxels_of_the_labels(kind: str, size: Triple) -> None:
    blocks, voxels, box = volume(kind, size)
    known = np.unique(voxels)
    for chosen in (known[:1], known[-1:], known[::-1][:3], known, np.array([123456], np.uint64), known[:0]):
        mask = np.isin(voxels, chosen)
        found = labels.leaves(blocks, chosen)
        seen = np.zeros(mask.shape, bool)
        for leaf in found:
            x, y, z = leaf["low"].tolist()
            cube = np.unpackbits(leaf["mask"].view(np.uint8), bitorder="little").reshape(8, 8, 8).astype(bool)
            at = tuple(slice(n // 8 * 8 - o, n // 8 * 8 - o + 8) for n, o in zip((z, y, x), box.low))
            assert not seen[at].any()
            seen[at] = cube
            points = np.argwhere(cube)
            assert (points.min(axis=0) == [n % 8 for n in (z, y, x)]).all()
            assert (points.max(axis=0) - points.min(axis=0))[::-1].tolist() == leaf["span"].tolist()
            assert leaf["voxels"] == cube.sum() > 0 and leaf["zero"] == 0
            sums = cube.sum(axis=(1, 2)).cumsum().tolist()
            assert int(leaf["sums"]) == sum(n % 512 << 9 * i for i, n in enumerate(sums[:7]))
        assert (seen == mask).all()


def test_making_leaves_and_runs_releases_the_gil() -> None:
    blocks, voxels, _ = volume("cells", (64, 64, 64))
    many = Blocks.of([((0, 0, n), blocks[n % len(blocks)]) for n in range(200)], (64, 64, 64))
    many.laid()
    chosen = np.unique(voxels)[:2]
    assert_releases_gil(lambda: labels.leaves(many, chosen))
    assert_releases_gil(lambda: labels.runs(many, chosen))
