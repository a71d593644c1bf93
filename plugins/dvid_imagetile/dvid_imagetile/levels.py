"""`Levels`: the scales of an instance, their resolutions and tile sizes; the order is x, y, z as on the wire."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from dvid_core import BadRequest
from dvid_voxels.extents import number
from dvid_voxels.geometry import Box
from dvid_voxels.settings import Lengths, Point

TILE = 512
"""Pixels a side of tiles whose size nobody gave; also the unit of MinTileCoord and MaxTileCoord."""

WIDEST = 16_384
"""Pixels along the longest side of a tile."""

MOST = 256
"""Levels: their number is a byte of the stored key."""

Side = Annotated[int, msgspec.Meta(ge=1, le=WIDEST)]
Three: TypeAlias = tuple[int, int, int]


class Level(msgspec.Struct, frozen=True):
    """One scale."""

    Resolution: Lengths
    TileSize: tuple[Side, Side, Side]


Levels: TypeAlias = tuple[Level, ...]
"""The finest first; each is an integral multiple of the one before."""


class Metadata(msgspec.Struct, frozen=True):
    """What `POST metadata` sets, all of it."""

    Levels: dict[str, Level]
    MinTileCoord: Point = (0, 0, 0)
    MaxTileCoord: Point = (0, 0, 0)


def checked_levels(given: Mapping[str, Level]) -> Levels:
    """Levels by their numbers as text, in order.  Raises `BadRequest`."""
    if not given:
        raise BadRequest("Levels: at least level 0 must be given")
    for name in given:
        if not re.fullmatch("0|[1-9][0-9]{0,3}", name, re.ASCII) or int(name) >= min(len(given), MOST):
            raise BadRequest(
                f"Levels: expected the numbers 0 to {len(given) - 1} for {len(given)} levels, got {name[:20]!r}"
            )
    levels = tuple(given[str(n)] for n in range(len(given)))
    for n in range(1, len(levels)):
        magnification(levels, n)
    return levels


def magnification(levels: Sequence[Level], n: int) -> Three:
    """How many pixels of level n - 1 make one of level n along x, y, z.  Raises `BadRequest`."""
    fine, coarse = levels[n - 1].Resolution, levels[n].Resolution
    ratios = [b / a for a, b in zip(fine, coarse)]
    x, y, z = (round(r) for r in ratios)
    if not all(1 <= m <= WIDEST and abs(r - m) < 0.001 * m for r, m in zip(ratios, (x, y, z))):
        raise BadRequest(
            f"Levels: the resolution of level {n}, {list(coarse)}, is no multiple of that before, {list(fine)}"
        )
    return x, y, z


def shown_levels(levels: Levels) -> dict[str, dict[str, Any]]:
    """Levels as the wire shows them."""
    return {
        str(n): {"Resolution": [number(r) for r in level.Resolution], "TileSize": list(level.TileSize)}
        for n, level in enumerate(levels)
    }


def default_levels(voxel_size: Lengths, extents: Box) -> Levels:
    """Square tiles of 512 pixels; each level doubles the resolution until one tile covers what there is."""
    tiles = [-(-high // TILE) - low // TILE for low, high in zip(extents.low[::-1], extents.high[::-1])]
    steps = [math.ceil(math.log2(n)) for n in tiles]
    levels = []
    for n in range(max(steps) + 1):
        x, y, z = (length * 2.0 ** min(n, s) for length, s in zip(voxel_size, steps))
        levels.append(Level((x, y, z), (TILE, TILE, TILE)))
    return tuple(levels)


def covered(levels: Levels, voxel_size: Lengths, extents: Box) -> tuple[Point, Point]:
    """MinTileCoord and MaxTileCoord of generated tiles: tiles of 512 pixels at the coarsest level."""
    last = levels[-1].Resolution
    corners = []
    for corner in (extents.low[::-1], [h - 1 for h in extents.high[::-1]]):
        x, y, z = (math.trunc(at * length / (r * TILE)) for at, length, r in zip(corner, voxel_size, last))
        corners.append((x, y, z))
    return corners[0], corners[1]
