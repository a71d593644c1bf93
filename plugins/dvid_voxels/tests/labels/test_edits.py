"""Blocks with other labels: relabelled, replaced, packed anew, split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dvid_voxels import labels
from dvid_voxels.labels import BadBlock, BadRuns

from . import slow

SIZE = (16, 16, 24)


def replaced(voxels: slow.Array, names: dict[int, int]) -> slow.Array:
    return np.array([names.get(label, label) for label in voxels.ravel().tolist()], np.uint64).reshape(voxels.shape)


def test_only_the_table_changes_when_a_block_is_relabelled() -> None:
    block = slow.random_block(SIZE, np.random.default_rng(0))
    old = labels.table(block)
    new = labels.relabel(block, old ^ np.uint64(5))
    end = 16 + 8 * len(old)
    assert new[:16] + new[end:] == block[:16] + block[end:]
    # Voxels are 0 without an entry too, and these stay.
    voxels = slow.decode(block)
    known = voxels != 0
    assert np.array_equal(slow.decode(new)[known], voxels[known] ^ np.uint64(5))


def test_a_table_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 entries"):
        labels.relabel(labels.zero(SIZE), np.zeros(2, np.uint64))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.dictionaries(st.sampled_from([0, 1, 2, 3, 9, 2**63, 2**64 - 1]), st.sampled_from([0, 1, 2, 7, 2**64 - 1])),
)
def test_voxels_are_replaced_all_at_once(seed: int, names: dict[int, int]) -> None:
    block = slow.random_block(SIZE, np.random.default_rng(seed), 5)
    new = labels.replace(block, names)
    labels.check(new, SIZE)
    assert np.array_equal(slow.decode(new), replaced(slow.decode(block), names))


def test_labels_that_become_one_are_one_entry() -> None:
    block = labels.encode(slow.volume("few", SIZE))
    joined = labels.replace(block, {5: 2**63 + 1})
    assert sorted(labels.table(joined).tolist()) == [0, 2**63 + 1]
    assert labels.replace(joined, {0: 2**63 + 1}) == labels.solid(2**63 + 1, SIZE)
    assert labels.replace(block, {77: 1}) == block


def test_two_labels_are_swapped() -> None:
    voxels = slow.volume("few", SIZE)
    swapped = labels.decode(labels.replace(labels.encode(voxels), {0: 5, 5: 0}))
    assert np.array_equal(swapped == 0, voxels == 5)
    assert np.array_equal(swapped == 5, voxels == 0)


def test_zeros_without_an_entry_are_replaced_too() -> None:
    cells: list[slow.Cell] = [([], []) for _ in range(8)]
    cells[3] = ([1], [])
    block = slow.write((16, 16, 16), [7, 8], cells)
    new = labels.replace(block, {0: 9, 8: 4})
    assert np.array_equal(slow.decode(new), replaced(slow.decode(block), {0: 9, 8: 4}))


def test_packing_anew_leaves_nothing_unused() -> None:
    for seed in range(10):
        block = slow.random_block(SIZE, np.random.default_rng(seed))
        packed = labels.compact(block)
        assert packed == labels.encode(slow.decode(block))
        assert sorted(labels.table(packed).tolist()) == np.unique(slow.decode(block)).tolist()


class Cut:
    """A volume of one block and runs over some voxels of one label."""

    def __init__(self, kind: str, label: int | None = None) -> None:
        self.voxels = slow.volume(kind, SIZE, 3)
        self.block = labels.encode(self.voxels)
        self.label = int(self.voxels[8, 8, 8]) if label is None else label
        self.inside = (self.voxels == self.label) & (np.random.default_rng(1).random(SIZE) < 0.6)
        self.runs = self.runs_of(self.inside)

    @staticmethod
    def runs_of(chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
        rows = []
        for z, y in np.ndindex(SIZE[:2]):
            edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen[z, y], [False])).astype(int)))
            rows += [(a, y, z, b - a) for a, b in edges.reshape(-1, 2).tolist()]
        np.random.default_rng(0).shuffle(rows)
        return np.array(rows, np.int32).reshape(-1, 4)


@pytest.mark.parametrize("kind", slow.KINDS)
def test_a_label_is_split(kind: str) -> None:
    cut = Cut(kind)
    new, moved = labels.split(cut.block, cut.label, cut.runs, 100, 200)
    wanted = np.where(cut.inside, np.uint64(100), np.where(cut.voxels == cut.label, np.uint64(200), cut.voxels))
    assert np.array_equal(slow.decode(new), wanted)
    assert moved == cut.inside.sum()
    assert new == labels.encode(wanted)


def test_a_whole_label_may_be_inside_or_outside() -> None:
    cut = Cut("cells")
    none, moved = labels.split(cut.block, cut.label, cut.runs[:0], 100, 200)
    assert (moved, none) == (0, labels.replace(cut.block, {cut.label: 200}))
    every = cut.runs_of(cut.voxels == cut.label)
    whole, moved = labels.split(cut.block, cut.label, every, 100, 200)
    assert moved == (cut.voxels == cut.label).sum()
    assert np.array_equal(slow.decode(whole), replaced(cut.voxels, {cut.label: 100}))


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ((0, 0, 0, 0), "leaves the block"),
        ((0, 0, 0, -5), "leaves the block"),
        ((-1, 0, 0, 2), "leaves the block"),
        ((20, 0, 0, 5), "leaves the block"),
        ((0, 16, 0, 1), "leaves the block"),
        ((0, 0, 16, 1), "leaves the block"),
        ((2**31 - 1, 0, 0, 2**31 - 1), "leaves the block"),
        ((0, 3, 4, 24), "overlaps"),
    ],
)
def test_bad_runs_are_refused(run: tuple[int, int, int, int], why: str) -> None:
    block = labels.solid(7, SIZE)
    rows = np.array([(5, 3, 4, 2), run], np.int32)
    with pytest.raises(BadRuns, match=why):
        labels.split(block, 7, rows, 1, 2)


def test_a_run_over_another_label_is_refused_by_name() -> None:
    voxels = np.full(SIZE, 7, np.uint64)
    voxels[9, 10, 11] = 8
    with pytest.raises(BadRuns, match=r"5 voxels at 9, 10, 9 .* not of label 7"):
        labels.split(labels.encode(voxels), 7, np.array([(0, 0, 0, 24), (9, 10, 9, 5)], np.int32), 1, 2)


def test_a_broken_block_is_not_split() -> None:
    block = slow.random_block(SIZE, np.random.default_rng(0))
    with pytest.raises(BadBlock):
        labels.split(block[:-1], 1, np.empty((0, 4), np.int32), 1, 2)
