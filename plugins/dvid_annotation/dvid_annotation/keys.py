"""Stored keys of an annotation."""

from __future__ import annotations

from dvid_core import TEXT, U8, U32, U64, ZYX, KeyClass

CELL = KeyClass(1, "cell", ZYX, U64, U8)
"""Brick, path and level (see `dvid_annotation.grid`) -> the elements there, or nothing when they lie in finer cells
(see `dvid_annotation.rows`)."""

LABEL = KeyClass(2, "list of a label", U64, U64)
"""Label and segment -> some of the elements in the list of that label (see `dvid_annotation.segments`)."""

TAG = KeyClass(3, "list of a tag", TEXT, U64)
"""Tag and segment -> some of the elements with that tag."""

FILED = KeyClass(4, "label of a supervoxel", U64)
"""Supervoxel -> the label in whose list the elements on it are, u64 LE."""

WORK = KeyClass(5, "work", U32, U64)
"""Version and a number -> what is still to be done in the background (see `dvid_annotation.work`)."""

GRID = KeyClass(6, "grid")
"""At the root version: the size of a block, z, y, x as i32 LE."""

CLASSES = (CELL, LABEL, TAG, FILED, WORK, GRID)


def behind(tkey: bytes) -> bytes:
    """The first of all tkeys that come behind this one, to go on with a scan."""
    return (int.from_bytes(tkey, "big") + 1).to_bytes(len(tkey), "big")
