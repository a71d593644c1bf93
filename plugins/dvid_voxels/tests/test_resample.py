"""Resampling by area, against the slow way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_voxels.resample import area_mean, source_size


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), st.integers(1, 60))
def test_integers_are_the_floor_of_the_exact_mean(values: list[int], size: int) -> None:
    n = len(values)
    small = [v for v in values for _ in range(size)]
    wanted = [sum(small[j * n : (j + 1) * n]) // n for j in range(size)]
    assert area_mean(np.array(values, np.uint32), 0, size).tolist() == wanted


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), st.integers(1, 30))
def test_floats_are_the_mean(values: list[float], size: int) -> None:
    n = len(values)
    small = [Fraction(v) for v in values for _ in range(size)]
    wanted = [float(sum(small[j * n : (j + 1) * n]) / n) for j in range(size)]
    assert np.allclose(area_mean(np.array(values, np.float32), 0, size), wanted, rtol=1e-6, atol=1e-6)


def test_one_nan_does_not_spread() -> None:
    means = area_mean(np.array([1, np.nan, 3, 4], np.float32), 0, 2)
    assert np.isnan(means[0])
    assert means[1] == 3.5


def test_wide_integers_are_the_nearest() -> None:
    assert area_mean(np.array([2**63, 5, 7], np.uint64), 0, 6).tolist() == [2**63, 2**63, 5, 5, 7, 7]


@pytest.mark.parametrize("axis", [0, 1])
def test_the_other_axes_stay(axis: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    out = area_mean(values, axis, 5)
    assert out.shape == ((5, 7, 4) if axis == 0 else (9, 5, 4))
    column = values[:, 2, 3] if axis == 0 else values[2, :, 3]
    assert (out[:, 2, 3] if axis == 0 else out[2, :, 3]).tolist() == area_mean(column, 0, 5).tolist()


def test_the_longer_voxel_is_read_less_often() -> None:
    assert source_size((40, 100), (4, 40)) == (40, 10)
    assert source_size((60, 20), (24, 8)) == (20, 20)
    assert source_size((60, 20), (8, 8)) == (60, 20)
    assert source_size((3, 1), (8, 1000)) == (3, 1)
