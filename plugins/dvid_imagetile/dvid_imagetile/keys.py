"""Stored keys of imagetile."""

from __future__ import annotations

from dvid_core import U8, ZYX, KeyClass
from dvid_voxels.paths import Plane

TILE = KeyClass(1, "tile", U8, U8, ZYX)
"""Number of the plane, level, and the coordinates of the tile, of which the one along the normal is a voxel's."""

NUMBERS = {"xy": 0, "xz": 1, "yz": 2}


def tile_key(plane: Plane, level: int, at: tuple[int, int, int]) -> bytes:
    """The tkey of the tile at `at`, x, y, z."""
    return TILE.key(NUMBERS[plane.name], level, at[::-1])
