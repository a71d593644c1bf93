"""Resampling of pictures so that their pixels are square."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def source_size(size: tuple[int, int], lengths: tuple[float, float]) -> tuple[int, int]:
    """How many voxels (w, h) give a picture of `size` (w, h) square pixels; `lengths` are a voxel's along w and h.

    In single precision, as clients know the results.
    """
    (w, h), (rx, ry) = size, (np.float32(n) for n in lengths)
    if rx < ry:
        return w, max(1, int(np.float32(h) * rx / ry + np.float32(0.5)))
    if rx > ry:
        return max(1, int(np.float32(w) * ry / rx + np.float32(0.5))), h
    return w, h


def area_mean(values: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    """A kernel: `values` with `size` places along `axis`, each the mean of what it covers, weighted by area, rounded down.

    Integers of up to 4 bytes are exact; wider ones are taken from the nearest place below, floats are averaged in
    double precision.
    """
    n = values.shape[axis]
    if n == size:
        return values
    moved = np.moveaxis(values, axis, 0)
    if values.dtype.itemsize > 4:
        return np.moveaxis(moved[np.arange(size) * n // size], 0, axis)
    whole = values.dtype.kind == "u"
    kind = np.uint64 if whole else np.float64
    # Each source place stands for `size` small ones, each result is the mean of `n` small ones: differences of the
    # running sum over small places. Sums of integers may wrap, their differences are right all the same.
    running = np.zeros((n + 1, *moved.shape[1:]), kind)
    np.cumsum(moved, axis=0, dtype=kind, out=running[1:])
    ends = np.arange(size + 1, dtype=np.int64) * n
    place, rest = ends // size, ends % size
    extra = moved[np.minimum(place, n - 1)].astype(kind)
    weights = (-1, *(1,) * (moved.ndim - 1))
    sums = running[place] * kind(size) + extra * rest.astype(kind).reshape(weights)
    totals = np.diff(sums, axis=0)
    means = totals // kind(n) if whole else totals / kind(n)
    return np.moveaxis(means.astype(values.dtype), 0, axis)
