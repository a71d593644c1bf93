"""Pictures of any place and size, put together from the tiles of level 0."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dvid_core import BadRequest, View
from dvid_voxels.images import Picture
from dvid_voxels.paths import Plane
from dvid_voxels.pipeline import spread

from .keys import tile_key
from .levels import Level, Three
from .pictures import decoded, paste, placeholder

MOST = 4096
"""Tiles that one picture is made of."""

LARGEST = 64 << 20
"""Bytes of a stored tile, and pixels of a text, that are worth the memory."""

WIDTH = 4
"""Tiles that are decoded at a time."""


class Stitched(msgspec.Struct, frozen=True):
    """A picture that is wanted."""

    view: View
    plane: Plane
    level: Level
    offset: Three
    """The first voxel, x, y, z."""
    texts: bool
    """Whether a text is shown where no tile is."""

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a tile."""
        across, down = self.plane.axes
        return self.level.TileSize[across], self.level.TileSize[down]

    def check(self, width: int, height: int) -> None:
        """Raise `BadRequest` when too many tiles are needed."""
        count = len(self._columns(width)) * len(self._rows(height))
        if count > MOST:
            raise BadRequest(f"size: the image touches {count} tiles; at most {MOST} are possible")

    async def draw(self, out: Picture) -> None:
        """Paste the tiles into `out`."""
        height, width = out.shape[:2]
        await spread((self._draw(out, x, y) for x, y in self._places(width, height)), WIDTH)

    def _columns(self, width: int) -> range:
        start, side = self.offset[self.plane.axes[0]], self.tile[0]
        return range(start // side, (start + width - 1) // side + 1)

    def _rows(self, height: int) -> range:
        start, side = self.offset[self.plane.axes[1]], self.tile[1]
        return range(start // side, (start + height - 1) // side + 1)

    def _places(self, width: int, height: int) -> Iterator[tuple[int, int]]:
        return ((x, y) for y in self._rows(height) for x in self._columns(width))

    async def _draw(self, out: Picture, x: int, y: int) -> None:
        across, down = self.plane.axes
        at = list(self.offset)
        at[across], at[down] = x, y
        wide, high = self.tile
        left, top = x * wide - self.offset[across], y * high - self.offset[down]
        value = await self.view.open(tile_key(self.plane, 0, (at[0], at[1], at[2])))
        if value is not None and 0 < value.size <= LARGEST:
            await self.view.run(_paste_tile, out, await value.read(), wide, high, left, top)
        elif self.texts and wide * high <= LARGEST:
            text = f"no tile {self.plane.name} {at[0]}_{at[1]}_{at[2]}"
            await self.view.run(_paste_text, out, text, wide, high, left, top)


def _paste_tile(out: Picture, data: bytes, width: int, height: int, left: int, top: int) -> None:
    part = decoded(data, out, width, height)
    if part is not None:
        paste(out, part, left, top)


def _paste_text(out: Picture, text: str, width: int, height: int, left: int, top: int) -> None:
    paste(out, placeholder(out, width, height, text), left, top)
