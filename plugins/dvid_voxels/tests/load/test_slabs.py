"""How a volume is cut into parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_voxels.geometry import Box, Triple
from dvid_voxels.load import slabs
from dvid_voxels.load.slabs import Plan
from dvid_voxels.load.source import Array, Source, item_of

from .volumes import noise


class InMemory(Source):
    """A volume that is at hand."""

    name = stamp = "memory"
    kind = "uint8"
    sections = True

    def __init__(self, voxels: Array) -> None:
        self._voxels = voxels
        self.shape = voxels.shape  # type: ignore[assignment]

    def read(self, box: Box) -> Array:
        return self._voxels[box.slices(Box((0, 0, 0), self.shape))]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Slabs of some kilobytes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("SLAB", 2000), ("STRIP", 8000), ("PIECE", 500)):
            patch.setattr(slabs, name, size)
        yield


def triples(low: int, high: int) -> st.SearchStrategy[Triple]:
    return st.tuples(*[st.integers(low, high)] * 3)


@given(
    low=triples(-40, 40),
    size=triples(1, 40),
    block=triples(1, 12),
    kind=st.sampled_from(["uint8", "uint64"]),
    sections=st.booleans(),
    whole=st.booleans(),
)
def test_slabs_are_the_volume_each_voxel_once(
    low: Triple, size: Triple, block: Triple, kind: str, sections: bool, whole: bool
) -> None:
    plan = Plan(low, size, block, kind, sections, whole)
    source = InMemory(noise(size))
    wanted = plan.box.blocks(block).voxels(block) if whole else plan.box
    out = np.zeros(wanted.size, np.int64)
    seen = np.zeros(wanted.size, np.int64)
    for slab in plan.slabs:
        inner = [n % b == 0 or n == edge for n, b, edge in zip(slab.low, block, low)]
        assert whole or all(inner), "slabs begin at the faces of blocks"
        pieces = list(plan.pieces(source, slab))
        assert sum(p.nbytes for p in pieces) == plan.nbytes(slab)
        assert all(p.dtype == item_of(kind) for p in pieces)
        out[slab.slices(wanted)] = np.concatenate(pieces)
        seen[slab.slices(wanted)] += 1
    assert (seen == 1).all()
    inside = plan.box.slices(wanted)
    assert (out[inside] == source.read(Box((0, 0, 0), size))).all()
    out[inside] = 0
    assert not out.any()


def test_slabs_are_small_and_sections_are_not_cut_more_than_they_must() -> None:
    arrays = Plan((0, 0, 0), (16, 40, 40), (4, 4, 4), "uint8", sections=False, whole_blocks=False)
    assert all(plan <= 2000 for plan in map(arrays.nbytes, arrays.slabs))
    stack = Plan((0, 0, 0), (16, 40, 40), (4, 4, 4), "uint8", sections=True, whole_blocks=False)
    assert len(stack.slabs) == 4
    assert all(slab.size == (4, 40, 40) for slab in stack.slabs)
    thin = Plan((0, 0, 0), (100, 8, 8), (4, 4, 4), "uint8", sections=True, whole_blocks=False)
    assert [slab.size[0] for slab in thin.slabs] == [28, 28, 28, 16]
