"""Resampling of pictures so that their pixels are square."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOM = 16 << 20
"""Bytes of running sums that are held at a time."""


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
    """A kernel: `values` with `size` places along `axis`, each the mean of what it covers, weighted by area.

    Integers of up to 4 bytes are exact and rounded down; of wider ones the nearest place below is taken.
    """
    n = values.shape[axis]
    if n == size:
        return values
    moved = np.moveaxis(values, axis, 0)
    if values.dtype.itemsize > 4:
        out = moved[np.arange(size, dtype=np.int64) * n // size]
    else:
        mean = _whole_means if values.dtype.kind == "u" else _float_means
        columns = moved.reshape(n, -1)
        out = np.empty((size, columns.shape[1]), values.dtype)
        step = max(1, ROOM // (8 * (n + size)))
        for at in range(0, columns.shape[1], step):
            out[:, at : at + step] = mean(columns[:, at : at + step], size)
        out = out.reshape(size, *moved.shape[1:])
    return np.moveaxis(out, 0, axis)


def _whole_means(columns: NDArray[Any], size: int) -> NDArray[Any]:
    """Each source place stands for `size` small ones, each result is the mean of n small ones."""
    n = len(columns)
    # Results are differences of a running sum over small places; it may wrap, its differences are right all the same.
    running = np.zeros((n + 1, columns.shape[1]), np.uint64)
    np.cumsum(columns, axis=0, dtype=np.uint64, out=running[1:])
    ends = np.arange(size + 1, dtype=np.int64) * n
    place, rest = ends // size, (ends % size).astype(np.uint64)
    sums = running[place] * np.uint64(size) + columns[np.minimum(place, n - 1)] * rest[:, None]
    return np.diff(sums, axis=0) // np.uint64(n)


def _float_means(columns: NDArray[Any], size: int) -> NDArray[Any]:
    """One result after the other: a running sum would carry NaN, and the error of large values, to all behind them."""
    n = len(columns)
    out = np.empty((size, columns.shape[1]))
    for j in range(size):
        start, stop = j * n, (j + 1) * n
        places = np.arange(start // size, (stop - 1) // size + 1)
        weights = np.minimum(stop, (places + 1) * size) - np.maximum(start, places * size)
        out[j] = weights @ columns[places].astype(np.float64) / n
    return out
