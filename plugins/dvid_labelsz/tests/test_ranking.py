"""Tables against sorting, and that their kernels let others run."""

from __future__ import annotations

import numpy as np
import pytest
from dvid_labelsz.counts import COLUMNS, MOST, TYPES, as_counts, column, folded, joined
from dvid_labelsz.ranking import Table, empty
from dvid_labelsz.region import Mask
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core.testing import assert_releases_gil
from dvid_voxels.annotation_events import FILED

LABELS = st.sampled_from([0, 1, 2, 3, 5, 8, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
COUNT = st.sampled_from([0, 0, 1, 2, 3, 1000, MOST - 1, MOST])
ROWS = st.dictionaries(LABELS, st.tuples(*[COUNT] * len(COLUMNS)), max_size=8)

Rows = dict[int, tuple[int, ...]]


def arrays(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    labels = sorted(rows)
    return np.array(labels, np.uint64), np.array([rows[n] for n in labels], np.uint32).reshape(-1, len(COLUMNS))


def value(row: tuple[int, ...], kind: str) -> int:
    if kind == "AllSyn":
        return min(sum(row[:3]), MOST)
    return 0 if kind == "Voxels" else row[COLUMNS.index(kind)]


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6), st.sampled_from(TYPES), st.integers(0, 3))
def test_a_table_after_any_updates_ranks_as_sorting_does(steps: list[Rows], kind: str, asked: int) -> None:
    table, rows = empty() if asked == 0 else Table(*arrays({})), {}
    for n, step in enumerate(steps):
        rows.update(step)
        table = table.updated(*arrays(step))
        if n < asked:
            continue
        values = [(label, value(row, kind)) for label, row in rows.items()]
        wanted = sorted([(label, c) for label, c in values if c], key=lambda r: (-r[1], r[0]))
        assert list(zip(*table.rows(kind, 0, 100))) == wanted
        for count in (0, 1, 2, 3, 1000, MOST):
            assert table.at_least(kind, count) == sum(c >= max(1, count) for _, c in wanted)


@given(st.lists(st.tuples(LABELS, st.integers(0, 5), st.sampled_from([-1, 1])), max_size=30), st.integers(1, 5))
def test_folded_changes_are_their_sums(changes: list[tuple[int, int, int]], parts: int) -> None:
    filed = np.array([(label, (0, 0, 0), kind, change) for label, kind, change in changes], FILED)
    wanted: dict[int, list[int]] = {}
    for label, kind, change in changes:
        if label and 1 <= kind <= 4:
            wanted.setdefault(label, [0] * 4)[kind - 1] += change
    labels, sums = joined([folded([part]) for part in np.array_split(filed, parts)])
    assert {n: row for n, row in zip(labels.tolist(), sums.tolist()) if any(row)} == {
        n: row for n, row in wanted.items() if any(row)
    }
    assert (np.diff(labels.astype(object)) > 0).all()


def test_sums_below_zero_and_beyond_the_highest_are_clipped() -> None:
    counts = as_counts(np.array([[-5, 0, 2**40, 7]]))
    assert counts.tolist() == [[0, 0, MOST, 7]]
    assert column(np.full((1, 4), MOST, np.uint32), "AllSyn").tolist() == [MOST]


@pytest.fixture(scope="module")
def large() -> Table:
    rng = np.random.default_rng(1)
    labels = np.unique(rng.integers(1, 2**63, 1_000_000, dtype=np.uint64))
    return Table(labels, rng.integers(0, 50, (len(labels), 4)).astype(np.uint32))


def test_kernels_let_others_run(large: Table) -> None:
    assert_releases_gil(lambda: Table(large.labels, large.counts).ranks("AllSyn"))
    large.ranks("AllSyn")
    some = large.labels[::1000] + np.uint64(1)
    assert_releases_gil(large.updated, some, np.ones((len(some), 4), np.uint32))
    changes = np.zeros(500_000, FILED)
    changes["label"], changes["kind"], changes["change"] = large.labels[:500_000], 1, 1
    assert_releases_gil(folded, [changes])
    spans = np.array([[z, y, 0, 9] for z in range(100) for y in range(100)], np.int32)
    assert_releases_gil(Mask((32, 32, 32), spans).kept, changes)
