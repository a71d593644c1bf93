"""`VersionRegion`: the region of one instance as one version sees it; what handlers and other types read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import Value, View
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.spans import Spans, contains, paint, row_key, row_keys

from .keys import SPANS
from .stored import Head, read_head, read_spans

FIRST, LAST = -(2**31), 2**31 - 1

LITTLE = 256 << 10
"""Bytes up to which all rows from the first to the last wanted one are read; of more, the wanted ones of each layer."""

INLINE = 4096
"""Spans and points together that take less time than a hop to a thread."""


class VersionRegion:
    """Made for each request or reader; the first call reads the head, and later ones see the same state.

    Offers `dvid_voxels.regions.Region` and with it `RoiMask`.
    """

    __slots__ = ("_found", "_known", "block", "view")

    def __init__(self, view: View, block: Triple) -> None:
        self.view, self.block = view, block
        self._known = False
        self._found: tuple[Value, Head] | None = None

    async def _stored(self) -> tuple[Value, Head] | None:
        if not self._known:
            value = await self.view.open(SPANS.key())
            if value is not None:
                self._found = value, await read_head(value)
            self._known = True
        return self._found

    async def extents(self) -> Box | None:
        """The least box of blocks that has the region; None when it is empty."""
        found = await self._stored()
        return None if found is None else found[1].extents

    async def spans(self, first_z: int = FIRST, last_z: int = LAST) -> AsyncIterator[Spans]:
        """Its spans with first_z <= z <= last_z, in order, in arrays of at most 65,536."""
        async for spans in self._rows(row_key(first_z, FIRST), row_key(last_z, LAST)):
            yield spans

    async def _rows(self, low: int, high: int) -> AsyncIterator[Spans]:
        found = await self._stored()
        if found is not None:
            async for spans in read_spans(*found, low, high):
                yield spans

    async def _nbytes(self, low: int, high: int) -> int:
        """Bytes of the spans of these rows."""
        found = await self._stored()
        if found is None:
            return 0
        start, stop = found[1].places(low, high)
        return stop - start

    async def inside(self, blocks: Box) -> NDArray[np.bool_]:
        """For each block of a box of block coordinates whether the region has it: an array (z, y, x)."""
        out = np.zeros(blocks.size, bool)
        extents = await self.extents()
        common = None if extents is None else extents.common(blocks)
        if common is None:
            return out
        (z0, y0, _), (z1, y1, _) = common.low, common.high
        ranges = [(row_key(z0, y0), row_key(z1 - 1, y1 - 1))]
        if await self._nbytes(*ranges[0]) > LITTLE:
            ranges = [(row_key(z, y0), row_key(z, y1 - 1)) for z in range(z0, z1)]
        for low, high in ranges:
            async for spans in self._rows(low, high):
                await self._run(len(spans) + out.size // 64, paint, out, spans, blocks)
        return out

    async def has_voxels(self, points: NDArray[Any]) -> NDArray[np.bool_]:
        """For each voxel, an array (n, 3) of z, y, x within int32, whether the region has it."""
        return await self.has_blocks(await self._run(len(points), _blocks_of, points, self.block))

    async def has_blocks(self, points: NDArray[Any]) -> NDArray[np.bool_]:
        """For each block, an array (n, 3) of z, y, x within int32, whether the region has it."""
        out = np.zeros(len(points), bool)
        if not len(points) or await self.extents() is None:
            return out
        rows = await self._run(len(points), row_keys, points[:, 0], points[:, 1])
        order: NDArray[np.int64] | None = None
        last: Spans | None = None
        async for spans in self._rows(int(rows.min()), int(rows.max())):
            if last is not None:
                if order is None:
                    order = await self.view.run(np.argsort, rows)
                    rows = rows[order]
                await self.view.run(_contains_some, out, last, points, rows, order)
            last = spans
        if last is None:
            return out
        if order is None:
            # All that matters came in one piece.
            alone: NDArray[np.bool_] = await self._run(len(last) + len(points), contains, last, points)
            return alone
        await self.view.run(_contains_some, out, last, points, rows, order)
        return out

    async def _run(self, work: int, kernel: Callable[..., Any], *args: Any) -> Any:
        if work <= INLINE:
            return kernel(*args)
        call: Awaitable[Any] = self.view.run(kernel, *args)
        return await call


def _blocks_of(points: NDArray[Any], block: Triple) -> NDArray[np.int32]:
    blocks: NDArray[np.int32] = np.floor_divide(points, np.array(block, np.int32), dtype=np.int32, casting="same_kind")
    return blocks


def _contains_some(
    out: NDArray[np.bool_], spans: Spans, points: NDArray[Any], rows: NDArray[np.int64], order: NDArray[np.int64]
) -> None:
    """`contains` for those points whose row (`rows`, sorted by `order`) can be in these spans."""
    low, high = row_key(*spans[0, :2].tolist()), row_key(*spans[-1, :2].tolist())
    some = order[np.searchsorted(rows, low) : np.searchsorted(rows, high, side="right")]
    out[some] |= contains(spans, points[some])
