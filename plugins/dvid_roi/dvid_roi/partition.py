"""Partitions: a region covered by boxes of blocks, as jobs over it are laid out.

All coordinates are in blocks; arrays are int64. A `Layout` says how the boxes lie: layers along z, in each layer rows
along y, in each row boxes along x. Spans of whole layers go through `cover`, so that no more than a layer is in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest
from dvid_voxels.geometry import Box
from dvid_voxels.spans import NONE, Spans

Longs: TypeAlias = NDArray[np.int64]

WIDEST = 1 << 20
"""The largest batch size: boxes of more blocks than fit 60 bits are none."""

MOST = 1 << 20
"""Boxes of one partition."""

_LINE = 2**34
_ZERO = 2**32


class Cuts(msgspec.Struct, frozen=True):
    """How one axis is cut, for many extents at once (arrays, or numbers, of the same shape)."""

    low: Any
    high: Any
    n: int
    optimized: bool
    lead: int = 0
    """Parts of n before those that are one longer (optimized)."""

    @property
    def rest(self) -> Any:
        return (self.high - self.low + 1) % self.n

    @property
    def start(self) -> Any:
        """Where the first part begins; else it reaches over both ends."""
        return self.low if self.optimized else self.low - self.rest // 2

    def index(self, at: Any) -> Any:
        """The part that a place is in."""
        away = at - self.start
        if not self.optimized:
            return away // self.n
        away = away - self.lead * self.n
        long = away // (self.n + 1)
        after = self.rest + (away - self.rest * (self.n + 1)) // self.n
        return np.where(away < 0, away // self.n, np.where(long < self.rest, long, after)) + self.lead

    def begin(self, index: Any) -> Any:
        """The first place of a part."""
        if not self.optimized:
            return self.start + index * self.n
        return self.start + index * self.n + np.clip(index - self.lead, 0, self.rest)

    def count(self) -> Any:
        """Parts that are counted, occupied or not (plain): to the end, and as far beyond it as the layout pads."""
        return (self.high + self.rest - self.rest // 2 - self.start) // self.n + 1


class Boxes(msgspec.Struct, frozen=True):
    """The boxes of some layers, in order of z, y, x."""

    low: Longs
    """First blocks, (k, 3) z, y, x."""
    high: Longs
    """Last blocks, inside."""
    active: Longs
    """Blocks of the region in each."""
    total: int
    """Blocks of all boxes, also of those that are empty and left out."""


class Layout(msgspec.Struct, frozen=True):
    """The cuts of a region along z, and by what rule the rest is cut."""

    z: Cuts
    n: int
    optimized: bool


def layout(extents: Box, n: int, optimized: bool) -> Layout:
    """How a region of these extents is cut."""
    cuts = Cuts(extents.low[0], extents.high[0] - 1, n, optimized, lead=1)
    return Layout(cuts, n, optimized)


def cover(spans: Spans, how: Layout) -> Boxes:
    """A kernel: the boxes of the layers that these normal spans, at least one, have; they must be whole layers.

    Raises `BadRequest` when there are more than `MOST`.
    """
    z, y, x0, x1 = spans.T.astype(np.int64)
    layer, first = _ranks(how.z.index(z))
    at_z = how.z.index(z[first])
    y_cuts = Cuts(np.minimum.reduceat(y, first), np.maximum.reduceat(y, first), how.n, how.optimized)
    each = Cuts(y_cuts.low[layer], y_cuts.high[layer], how.n, how.optimized)
    row = each.index(y)

    order = np.lexsort((x0, row, layer))
    layer, row, x0, x1 = layer[order], row[order], x0[order], x1[order]
    group, first = _ranks(layer, row)
    of_layer, at_y = layer[first], row[first]
    x_cuts = Cuts(np.minimum.reduceat(x0, first), np.maximum.reduceat(x1, first), how.n, how.optimized)

    # All rows laid end to end on one line, x = 0 of row g at g * _LINE + _ZERO.
    line = group * _LINE + _ZERO
    low, high = line + x0, line + x1
    columns = _joined(low, high)
    owner = group[columns.places]
    box, of_row = _touched(columns, owner, x_cuts)
    cuts = Cuts(x_cuts.low[of_row], x_cuts.high[of_row], how.n, how.optimized)
    begin, end = cuts.begin(box), cuts.begin(box + 1) - 1
    start = of_row * _LINE + _ZERO
    if how.optimized:
        # A box is cut to the columns that have blocks.
        begin = np.maximum(begin, columns.low[np.searchsorted(columns.high, start + begin)] - start)
        end = np.minimum(end, columns.high[np.searchsorted(columns.low, start + end, side="right") - 1] - start)
    ends = np.sort(high) + 1
    active = _before(start + end + 1, low, ends) - _before(start + begin, low, ends)

    layers = of_layer[of_row]
    rows = Cuts(y_cuts.low[layers], y_cuts.high[layers], how.n, how.optimized)
    z_low, z_high = how.z.begin(at_z[layers]), how.z.begin(at_z[layers] + 1) - 1
    y_low, y_high = rows.begin(at_y[of_row]), rows.begin(at_y[of_row] + 1) - 1
    lows, highs = np.stack([z_low, y_low, begin], axis=1), np.stack([z_high, y_high, end], axis=1)
    total = sum(_volumes(lows, highs).tolist()) if how.optimized else sum(x_cuts.count().tolist()) * how.n**3
    return Boxes(lows, highs, active, total)


def _ranks(*sorted_keys: Longs) -> tuple[Longs, Longs]:
    """For each of some sorted tuples how many different ones are before it; and where each different one begins."""
    changes = np.zeros(len(sorted_keys[0]), bool)
    for key in sorted_keys:
        changes[1:] |= key[1:] != key[:-1]
    rank = np.cumsum(changes)
    changes[0] = True
    return rank, np.flatnonzero(changes)


class _Intervals(msgspec.Struct, frozen=True):
    low: Longs
    high: Longs
    places: Longs
    """Of each the place of the first interval that it was made of."""


def _joined(low: Longs, high: Longs) -> _Intervals:
    """The union of intervals that are sorted by `low`."""
    reach = np.maximum.accumulate(high)
    begins = np.flatnonzero(np.concatenate(([True], low[1:] > reach[:-1] + 1)))
    return _Intervals(low[begins], reach[np.append(begins[1:], len(low)) - 1], begins)


def _touched(columns: _Intervals, owner: Longs, x_cuts: Cuts) -> tuple[Longs, Longs]:
    """The boxes that have columns, as (index in the row, row), in order."""
    cuts = Cuts(x_cuts.low[owner], x_cuts.high[owner], x_cuts.n, x_cuts.optimized)
    start = owner * _LINE + _ZERO
    first, last = cuts.index(columns.low - start), cuts.index(columns.high - start)
    # The first box of an interval may be the last one of the interval before.
    shared = np.zeros(len(first), bool)
    shared[1:] = (owner[1:] == owner[:-1]) & (first[1:] == last[:-1])
    first = first + shared
    count = last - first + 1
    total = int(count.sum())
    if total > MOST:
        raise BadRequest(f"batchsize: {total} subvolumes are more than the {MOST} that a partition can have")
    before = np.cumsum(count) - count
    box = np.repeat(first - before, count) + np.arange(total)
    return box, np.repeat(owner, count)


def _before(at: Longs, low: Longs, ends: Longs) -> Longs:
    """Places before each of `at` that intervals cover, with repetitions; `low` and `ends` (behind the last) are sorted.

    The sums may wrap; their differences are right all the same.
    """
    return _sum_before(at, low) - _sum_before(at, ends)


def _sum_before(at: Longs, points: Longs) -> Longs:
    sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(points)))
    some = np.searchsorted(points, at)
    result: Longs = some * at - sums[some]
    return result


def _volumes(low: Longs, high: Longs) -> Longs:
    volumes: Longs = np.prod(high - low + 1, axis=1)
    return volumes


async def whole_layers(pieces: AsyncIterator[Spans], z: Cuts) -> AsyncIterator[Spans]:
    """The same spans, cut so that none of the arrays has a part of a layer."""
    held: list[Spans] = []
    async for spans in pieces:
        last = z.index(int(spans[-1, 0]))
        begin = int(np.searchsorted(spans[:, 0], int(z.begin(last))))
        if begin:
            yield np.concatenate([*held, spans[:begin]])
            held = []
        elif held and z.index(int(held[-1][-1, 0])) != last:
            yield np.concatenate(held)
            held = []
        held.append(spans[begin:])
    if held:
        yield np.concatenate(held) if held else NONE
