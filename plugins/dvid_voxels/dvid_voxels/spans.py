"""Sets of blocks as spans: arrays (n, 4) of int32, z, y, x0, x1 in block coordinates, x1 inside.

All functions are kernels over numpy arrays. `normal` makes the form that the others take: sorted by z, y, x0, no two
spans overlapping or touching. Coordinates are those of the whole int32 range, so keys and lengths are int64.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .geometry import Box

Spans: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]

NONE: Spans = np.empty((0, 4), np.int32)
NONE.flags.writeable = False

_HALF = 2**31
_LINE = 2**33
"""Rows laid end to end on one line of int64 are this far apart: more than a row is long, so that none touch."""


def row_keys(z: NDArray[Any], y: NDArray[Any]) -> Longs:
    """One number for z and y that sorts as the pair does."""
    keys: Longs = (z.astype(np.int64) << 32) + y + _HALF
    return keys


def row_key(z: int, y: int) -> int:
    """The same of one pair."""
    return (z << 32) + y + _HALF


def normal(spans: Spans) -> Spans:
    """The same blocks in sorted, disjoint spans; each given span has x0 <= x1."""
    if not len(spans):
        return NONE
    rows, x0 = row_keys(spans[:, 0], spans[:, 1]), spans[:, 2]
    later, same = rows[1:] > rows[:-1], rows[1:] == rows[:-1]
    if not np.all(later | (same & (x0[1:] >= x0[:-1]))):
        order = np.lexsort((x0, rows))
        spans, rows = spans[order], rows[order]
    low, high = _on_line(_numbered(rows), spans)
    reach = np.maximum.accumulate(high)
    begins = np.flatnonzero(np.concatenate(([True], low[1:] > reach[:-1] + 1)))
    if len(begins) == len(spans):
        return np.ascontiguousarray(spans)
    out = spans[begins]
    # The reach before the next begin is the end of what began here.
    ends = reach[np.append(begins[1:], len(spans)) - 1]
    out[:, 3] = ends - low[begins] + out[:, 2]
    return out


def _numbered(rows: Longs) -> Longs:
    """For each of the sorted rows how many different ones are before it."""
    out = np.zeros(len(rows), np.int64)
    np.cumsum(rows[1:] != rows[:-1], out=out[1:])
    return out


def _on_line(number: Longs, spans: Spans) -> tuple[Longs, Longs]:
    start = number * _LINE
    return start + spans[:, 2] + _HALF, start + spans[:, 3] + _HALF


def contains(spans: Spans, points: NDArray[Any]) -> NDArray[np.bool_]:
    """For each of the blocks `points`, (n, 3) of int32 z, y, x, whether normal spans have it."""
    out = np.zeros(len(points), bool)
    if not len(spans) or not len(points):
        return out
    places, begin, end = _rows_of(spans, points)
    x = points[places, 2]
    # In each row at once: the first span that begins behind x; the one before it may have x.
    low, high = begin, end
    for _ in range(int((end - begin).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        behind = spans[np.minimum(middle, len(spans) - 1), 2] > x
        low, high = np.where(behind | (low == high), low, middle + 1), np.where(behind, middle, high)
    out[places] = (low > begin) & (x <= spans[low - 1, 3])
    return out


def _rows_of(spans: Spans, points: NDArray[Any]) -> tuple[Longs, Longs, Longs]:
    """The places of points whose row may have spans, and which these are: first <= i < last."""
    z, y = spans[:, 0].astype(np.int64), spans[:, 1].astype(np.int64)
    low, high = (int(z[0]), int(y.min())), (int(z[-1]), int(y.max()))
    deep, rows = high[0] - low[0] + 1, high[1] - low[1] + 1
    at_z, at_y = points[:, 0].astype(np.int64) - low[0], points[:, 1].astype(np.int64) - low[1]
    places = np.flatnonzero((at_z >= 0) & (at_z < deep) & (at_y >= 0) & (at_y < rows))
    if deep * rows <= 4 * (len(spans) + len(points)) + 4096:
        # A table of all rows in the extents takes a fifth of the time of searching.
        begin = np.searchsorted((z - low[0]) * rows + y - low[1], np.arange(deep * rows + 1))
        row = at_z[places] * rows + at_y[places]
        return places, begin[row], begin[row + 1]
    keys, wanted = row_keys(z, y), row_keys(points[places, 0], points[places, 1])
    return places, np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")


def paint(out: NDArray[np.bool_], spans: Spans, box: Box) -> None:
    """Set what is true of `out`, an array (z, y, x) of a box of blocks, where normal spans have the block."""
    low, high = box.low, box.high
    fits = (spans[:, 0] >= low[0]) & (spans[:, 0] < high[0]) & (spans[:, 1] >= low[1]) & (spans[:, 1] < high[1])
    fits &= (spans[:, 2] < high[2]) & (spans[:, 3] >= low[2])
    some = spans[fits].astype(np.int64) - (low[0], low[1], low[2], low[2])
    if not len(some):
        return
    depth, rows, width = box.size
    row = some[:, 0] * rows + some[:, 1]
    # Spans of a row neither overlap nor touch, so no two of these places are one.
    edges = np.zeros((depth * rows, width + 1), np.int8)
    edges[row, np.maximum(some[:, 2], 0)] = 1
    edges[row, np.minimum(some[:, 3], width - 1) + 1] = -1
    out |= np.cumsum(edges[:, :-1], axis=1, dtype=np.int8).view(bool).reshape(box.size)


def count_blocks(spans: Spans) -> int:
    """Blocks in disjoint spans."""
    return int((spans[:, 3].astype(np.int64) - spans[:, 2] + 1).sum())
