"""`Pyramid`: the tiles of all levels of some neighbouring slices, made from the voxels of the source.

A tile of level n is the mean of tiles of level n - 1, so each is made when it is needed and kept no longer: however
large a slice is, only a few tiles of each level are in memory.  Slices that lie in the same blocks are made together,
so that a block is not decoded once for each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
import numpy as np

from dvid_core import BadRequest, View
from dvid_voxels.geometry import Box
from dvid_voxels.images import Picture
from dvid_voxels.paths import Plane
from dvid_voxels.peers import Voxels

from .levels import Levels, Three, magnification
from .pictures import merged

Keep: TypeAlias = Callable[[int, Three, Picture], Awaitable[None]]
"""Takes a finished tile: its level, its coordinates x, y, z as in its key, and the picture."""

LARGEST = 16 << 20
"""Pixels of level n - 1 from which a tile of level n is made."""


class Step(msgspec.Struct, frozen=True):
    """One level in one plane, numbers along the width and the height."""

    tile: tuple[int, int]
    merges: tuple[int, int]
    """Pixels of the level before that make one here."""
    children: tuple[int, int]
    """Tiles of the level before that make one here."""
    covers: tuple[int, int]
    """Voxels that a tile covers."""


def steps_of(levels: Levels, plane: Plane) -> list[Step]:
    """The steps from level to level.  Raises `BadRequest` when tiles of one level do not consist of whole tiles."""
    across, down = plane.axes
    steps: list[Step] = []
    for n, level in enumerate(levels):
        tile = level.TileSize[across], level.TileSize[down]
        if not steps:
            steps.append(Step(tile, (1, 1), (1, 1), tile))
            continue
        before = steps[-1]
        by = magnification(levels, n)
        merges = by[across], by[down]
        wide, high = tile[0] * merges[0], tile[1] * merges[1]
        if wide % before.tile[0] or high % before.tile[1]:
            raise BadRequest(f"Levels: a tile of level {n} does not consist of whole tiles of level {n - 1}")
        if wide * high > LARGEST:
            raise BadRequest(f"Levels: a tile of level {n} is made of {wide} x {high} pixels, which are too many")
        children = wide // before.tile[0], high // before.tile[1]
        covers = before.covers[0] * children[0], before.covers[1] * children[1]
        steps.append(Step(tile, merges, children, covers))
    return steps


class Pyramid(msgspec.Struct, frozen=True):
    """The tiles of the slices `normals`, as far as `extents` (a box of voxels of the source) reaches."""

    view: View
    source: Voxels
    plane: Plane
    steps: list[Step]
    extents: Box
    normals: range
    keep: Keep

    async def build(self) -> None:
        """Make all tiles and hand them to `keep`."""
        top = len(self.steps) - 1
        columns, rows = (self._range(axis, self.steps[top].covers[n]) for n, axis in enumerate(self.plane.axes))
        for y in rows:
            for x in columns:
                await self._tile(top, x, y)

    def _range(self, axis: int, covers: int) -> range:
        """Numbers of the tiles along an axis that have voxels."""
        return range(self.extents.low[2 - axis] // covers, (self.extents.high[2 - axis] - 1) // covers + 1)

    def _is_outside(self, level: int, x: int, y: int) -> bool:
        across, down = self.plane.axes
        wide, high = self.steps[level].covers
        return x not in self._range(across, wide) or y not in self._range(down, high)

    async def _tile(self, level: int, x: int, y: int) -> Picture | None:
        """The stack of the tiles at one place, kept and with all below it; None outside of the extents."""
        if self._is_outside(level, x, y):
            return None
        stack = await (self._merged(level, x, y) if level else self._read(x, y))
        if stack is not None:
            for normal, picture in zip(self.normals, stack):
                await self.keep(level, self._at(x, y, normal), picture)
        return stack

    def _at(self, x: int, y: int, normal: int) -> Three:
        at = [normal] * 3
        at[self.plane.axes[0]], at[self.plane.axes[1]] = x, y
        return at[0], at[1], at[2]

    async def _read(self, x: int, y: int) -> Picture:
        wide, high = self.steps[0].tile
        first = self.plane.box((wide, high), self._at(x * wide, y * high, self.normals.start))
        size = list(first.size)
        size[2 - self.plane.normal] = len(self.normals)
        return await self.source.pictures(self.plane, Box(first.low, (size[0], size[1], size[2])))

    async def _merged(self, level: int, x: int, y: int) -> Picture | None:
        step, below = self.steps[level], self.steps[level - 1]
        # Each tile is made smaller by itself if its sides allow it, so that the large picture need not be put together.
        wide, high = step.merges if all(t % m == 0 for t, m in zip(below.tile, step.merges)) else (1, 1)
        width, height = below.tile[0] // wide, below.tile[1] // high
        out: Picture | None = None
        for row in range(step.children[1]):
            for column in range(step.children[0]):
                part = await self._tile(level - 1, x * step.children[0] + column, y * step.children[1] + row)
                if part is None:
                    continue
                small = await self.view.run(merged, part, wide, high)
                if out is None:
                    area = len(small), height * step.children[1], width * step.children[0]
                    out = np.zeros((*area, *small.shape[3:]), small.dtype)
                top, left = row * height, column * width
                out[:, top : top + height, left : left + width] = small
        return out if out is None or (wide, high) == step.merges else await self.view.run(merged, out, *step.merges)
