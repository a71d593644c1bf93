"""Sets of blocks as spans, beside Python's sets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_core.testing import assert_releases_gil
from dvid_voxels.geometry import Box
from dvid_voxels.spans import NONE, Spans, contains, count_blocks, normal, paint

Block = tuple[int, int, int]

LEAST, MOST = -(2**31), 2**31 - 1
PLACES = st.one_of(st.integers(-6, 6), st.sampled_from([LEAST, LEAST + 1, MOST - 1, MOST]))
SPANS = st.lists(
    st.builds(
        lambda z, y, x, n: (z, y, x, min(MOST, x + n)),
        PLACES, PLACES, PLACES, st.integers(0, 5),
    ),
    max_size=40,
)  # fmt: skip


def array(spans: list[tuple[int, int, int, int]]) -> Spans:
    return np.array(spans, np.int32).reshape(-1, 4)


def blocks(spans: list[tuple[int, int, int, int]]) -> set[Block]:
    return {(z, y, x) for z, y, x0, x1 in spans for x in range(x0, x1 + 1)}


@given(SPANS)
def test_the_normal_form_has_the_same_blocks_sorted_and_apart(spans: list[tuple[int, int, int, int]]) -> None:
    rows = [tuple(row) for row in normal(array(spans)).tolist()]
    assert blocks(rows) == blocks(spans)
    assert rows == sorted(rows)
    assert all(a[:2] < b[:2] or a[3] + 1 < b[2] for a, b in pairwise(rows))
    assert count_blocks(array(rows)) == len(blocks(spans))


@given(SPANS, st.lists(st.tuples(PLACES, PLACES, PLACES), max_size=40))
def test_contains_says_which_blocks_are_there(spans: list[tuple[int, int, int, int]], points: list[Block]) -> None:
    wanted = np.array(points, np.int32).reshape(-1, 3)
    assert contains(normal(array(spans)), wanted).tolist() == [p in blocks(spans) for p in points]


@given(SPANS, st.tuples(PLACES, PLACES, PLACES), st.tuples(*[st.integers(1, 6)] * 3))
def test_paint_sets_the_blocks_of_a_box(spans: list[tuple[int, int, int, int]], low: Block, size: Block) -> None:
    box = Box(low, size)
    out = np.zeros(size, bool)
    paint(out, normal(array(spans)), box)
    there = blocks(spans)
    assert [bool(v) for v in out.ravel()] == [p in there for p in box.points()]


def test_painting_keeps_what_was_painted() -> None:
    box = Box((0, 0, 0), (1, 1, 4))
    out = np.zeros(box.size, bool)
    paint(out, array([(0, 0, 0, 0)]), box)
    paint(out, array([(0, 0, 2, 3)]), box)
    assert out.ravel().tolist() == [True, False, True, True]


def test_no_spans_have_no_blocks() -> None:
    assert len(normal(NONE)) == 0
    assert contains(NONE, np.zeros((2, 3), np.int32)).tolist() == [False, False]


@pytest.fixture(scope="module")
def many() -> Spans:
    rng = np.random.default_rng(5)
    spans = rng.integers(0, 500, (300_000, 4), dtype=np.int32)
    spans[:, 3] = spans[:, 2] + rng.integers(0, 4, len(spans))
    return spans


def test_the_kernels_let_other_threads_run(many: Spans) -> None:
    sorted_spans = normal(many)
    points = np.random.default_rng(6).integers(0, 500, (300_000, 3), dtype=np.int32)
    box = Box((0, 0, 0), (500, 500, 500))
    assert_releases_gil(normal, many)
    assert_releases_gil(contains, sorted_spans, points)
    assert_releases_gil(paint, np.zeros(box.size, bool), sorted_spans, box)
