"""Reading elements by box, block and region."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvid_core import Value, View
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.regions import Region

from .grid import TOP, Grid, cell_keys, children
from .keys import CELL
from .rows import all_records, chosen_text, chosen_texts, count_of, items_of, text_part, value_of

Rows: TypeAlias = list[tuple[bytes, bytes]]
"""Cells that hold elements: tkey and value."""

LOOKED_UP = 512
"""Bricks of a box up to which each is asked for by its key; of more, what exists is scanned."""

BYTES = 128 << 10
"""Bytes of cells whose elements are picked without a hop to a thread."""

TOGETHER = 1 << 20
"""Bytes of cells that are worked on together."""

_WORLD = Box((-(2**31),) * 3, (2**32,) * 3)
_LAST = (1 << TOP) - 1


async def rows_in(view: View, grid: Grid, box: Box) -> AsyncIterator[Rows]:
    """The cells of all bricks that a box of voxels touches, in order of their keys."""
    common = box.common(_WORLD) if min(box.size) > 0 else None
    if common is None:
        return
    bricks = common.blocks(grid.brick)
    if bricks.count <= LOOKED_UP:
        found = await looked_up(view, grid, common)
        if found:
            yield found
        return
    start: bytes | None = CELL.key(bricks.low, 0, 0)
    last = (bricks.high[0] - 1, bricks.high[1] - 1, bricks.high[2] - 1)
    stop = CELL.key(last, _LAST, 255) + b"\x00"
    while start is not None:
        begin, start = start, None
        async for page in scanned(view, begin, stop):
            at = _bricks([key for key, _ in page])
            inside = np.all((at >= bricks.low) & (at < bricks.high), axis=1)
            rows = [row for row, yes in zip(page, inside.tolist()) if yes]
            if rows:
                yield rows
            if not inside[-1] and 2 * len(rows) < len(page):
                following = _next_inside(bricks, at[-1].tolist())
                if following is None:
                    return
                start = CELL.key(following, 0, 0)
                break


def _bricks(keys: Sequence[bytes]) -> NDArray[np.int64]:
    data = b"".join([key[1:13] for key in keys])
    return np.frombuffer(data, ">u4").reshape(-1, 3).astype(np.int64) - 2**31


def _next_inside(bricks: Box, at: Sequence[int]) -> Triple | None:
    """The first brick of a box that does not come before `at`; None when all do."""
    (z0, y0, x0), (z1, y1, x1) = bricks.low, bricks.high
    z, y, x = at
    if x >= x1:
        x, y = x0, y + 1
    if y >= y1:
        y, x, z = y0, x0, z + 1
    if z >= z1:
        return None
    if z < z0 or y < y0:
        return max(z, z0), y0, x0
    return z, y, max(x, x0)


async def scanned(view: View, start: bytes, stop: bytes) -> AsyncIterator[Rows]:
    """The cells of a range of keys."""
    async for page in view.scan(start, stop):
        rows: Rows = []
        for tkey, found in page:
            if not isinstance(found, Value):
                raise view.conflict(tkey, found.versions)
            value = found.inline
            if value is None:
                value = await found.read()
            if value:
                rows.append((tkey, value))
        if rows:
            yield rows


async def looked_up(view: View, grid: Grid, box: Box) -> Rows:
    """The cells that a box of few bricks touches."""
    bricks = box.blocks(grid.brick)
    places = np.stack(np.meshgrid(*map(np.arange, bricks.low, bricks.high), indexing="ij"), axis=-1).reshape(-1, 3)
    keys = cell_keys(places, np.zeros(len(places), np.uint64), 0)
    out: Rows = []
    split: list[tuple[Triple, int, int]] = []
    for key, value in zip(keys, await view.get_many(keys)):
        if value:
            out.append((key, value))
        elif value is not None:
            split.append((CELL.unpack(key)[0], 0, 0))
    while split:
        finer = [
            (brick, below, level + 1)
            for brick, path, level in split
            for below in children(path, level)
            if box.common(grid.box(brick, below, level + 1)) is not None
        ]
        keys = [CELL.key(*cell) for cell in finer]
        split = []
        for cell, key, value in zip(finer, keys, await view.get_many(keys)):
            if value:
                out.append((key, value))
            elif value is not None:
                split.append(cell)
        out.sort()
    return out


def in_box(values: Sequence[bytes], box: Box) -> NDArray[np.bool_]:
    """Which elements of these cells are in a box."""
    positions = all_records(values)["position"]
    inside: NDArray[np.bool_] = np.all((positions >= box.low) & (positions < box.high), axis=1)
    return inside


def _text_in_box(values: Sequence[bytes], box: Box) -> bytes:
    """A kernel."""
    return chosen_text(values, in_box(values, box))


def _texts_in_box(values: Sequence[bytes], box: Box) -> list[bytes]:
    """A kernel."""
    return chosen_texts(values, in_box(values, box))


def portions(rows: Rows) -> list[list[bytes]]:
    """The values of rows in portions of some `TOGETHER` bytes."""
    out: list[list[bytes]] = [[]]
    weight = 0
    for _, value in rows:
        if weight > TOGETHER:
            out.append([])
            weight = 0
        out[-1].append(value)
        weight += len(value)
    return out


async def text_in_box(view: View, grid: Grid, box: Box) -> AsyncIterator[bytes]:
    """The elements in a box, texts separated by commas, in pieces that are not empty."""
    async for rows in rows_in(view, grid, box):
        for values in portions(rows):
            if sum(map(len, values)) <= BYTES:
                text = _text_in_box(values, box)
            else:
                text = await view.run(_text_in_box, values, box)
            if text:
                yield text


async def texts_in_box(view: View, grid: Grid, box: Box) -> AsyncIterator[list[bytes]]:
    """The elements in a box."""
    async for rows in rows_in(view, grid, box):
        for values in portions(rows):
            yield await view.run(_texts_in_box, values, box)


async def texts_of_all(view: View) -> AsyncIterator[list[bytes]]:
    """All elements."""
    async for rows in scanned(view, *CELL.all()):
        for values in portions(rows):
            yield await view.run(_all_texts, values)


def _all_texts(values: Sequence[bytes]) -> list[bytes]:
    """A kernel."""
    return chosen_texts(values, np.ones(sum(map(count_of, values)), bool))


async def text_in_region(view: View, grid: Grid, region: Region) -> AsyncIterator[bytes]:
    """The elements in the blocks of a region, whose blocks are those of the grid."""
    extents = await region.extents()
    if extents is None:
        return
    async for rows in rows_in(view, grid, extents.voxels(grid.block)):
        for values in portions(rows):
            blocks = grid.blocks(all_records(values)["position"]).astype(np.int32)
            inside = await region.has_blocks(blocks)
            if inside.any():
                yield await view.run(chosen_text, values, inside)


class Blocks:
    """Joins cells, in order of their keys, into the members of an object of lists by block."""

    def __init__(self) -> None:
        self._open = b""
        self._begun = False

    def add(self, rows: Rows) -> bytes:
        """What these cells add to the text."""
        out: list[bytes] = []
        for key, value in rows:
            text = text_part(value)
            if key[21] < 2:
                out.append(b"]," if self._open else b"," if self._begun else b"")
                out.append(text)
                self._open, self._begun = b"", True
                continue
            begin = text[: text.index(b"[") + 1]
            if begin == self._open:
                out += (b",", text[len(begin) : -1])
            else:
                out += (b"]," if self._open else b"," if self._begun else b"", text[:-1])
                self._open, self._begun = begin, True
        return b"".join(out)

    def end(self) -> bytes:
        """What ends the text."""
        return b"]" if self._open else b""


async def blocks_text(view: View) -> AsyncIterator[bytes]:
    """All elements, as members of an object of lists by block."""
    blocks = Blocks()
    async for rows in scanned(view, *CELL.all()):
        yield blocks.add(rows)
    yield blocks.end()


async def blocks_text_in(view: View, grid: Grid, box: Box) -> AsyncIterator[bytes]:
    """The elements of the blocks that a box of voxels touches, in the same form."""
    blocks = Blocks()
    if min(box.size) <= 0:
        return
    whole = box.blocks(grid.block).voxels(grid.block)
    async for rows in rows_in(view, grid, whole):
        yield blocks.add(await view.run(_cut_to, rows, grid, whole))
    yield blocks.end()


def _cut_to(rows: Rows, grid: Grid, box: Box) -> Rows:
    """A kernel: cells without the elements outside a box."""
    inside = in_box([value for _, value in rows], box)
    ends = np.cumsum([0, *(count_of(value) for _, value in rows)]).tolist()
    out: Rows = []
    for (key, value), (start, stop) in zip(rows, pairwise(ends)):
        mine = inside[start:stop]
        if mine.all():
            out.append((key, value))
        elif mine.any():
            out.append((key, value_of([i for i, yes in zip(items_of(value), mine.tolist()) if yes], grid)))
    return out


async def count_blocks(view: View) -> int:
    """How many blocks have elements."""
    count, last = 0, None
    async for rows in scanned(view, *CELL.all()):
        for key, value in rows:
            if key[21] < 2:
                count += text_part(value).count(b'":[{"Pos":[')
                continue
            block = key[:13], key[13] >> 1  # the first octant of the path
            count += block != last
            last = block
    return count
