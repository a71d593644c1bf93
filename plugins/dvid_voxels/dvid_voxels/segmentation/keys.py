"""Stored keys of label volumes and their indices.  Numbers 5, 6 and 8 to 19 are free for what a datatype adds.

Block coordinates in values are packed as `packing.pack_blocks` does; a *cell* is a cube of 16 x 16 x 16 blocks.
"""

from __future__ import annotations

from dvid_core import TEXT, U8, U32, U64, ZYX, KeyClass

BLOCK = KeyClass(1, "block", U8, ZYX)
"""Scale and block coordinates -> a compressed label block of supervoxels, as it is or as a gzip member."""

EXTENTS = KeyClass(2, "extents")
"""The box that was written, see `dvid_voxels.extents`."""

BODY = KeyClass(3, "body", U64)
"""The index of a body: see `body`."""

SEGMENT = KeyClass(4, "segment of an index", U64, U64, U64)
"""Owner, supervoxel and cell -> (block within the cell, voxels) of that supervoxel, see `body`."""

DIRTY = KeyClass(7, "blocks of lower scales that are to be computed", U64)
"""A number -> what an ingest has still to do, see `pyramid`."""

PACKAGE = KeyClass(20, "blocks of an edit that are to be moved to their places", U64, U32)
"""Mutation id and a number -> stored blocks of scale 0, see `rewriting`."""

LOAD = KeyClass(21, "load", TEXT)
"""Id of a load by the command `dvid load` -> how far it is, see `dvid_voxels.load.progress`."""

CLASSES = (BLOCK, EXTENTS, BODY, SEGMENT, DIRTY, PACKAGE, LOAD)


class ScaleKey:
    """The block keys of one scale, as `dvid_voxels.volume` asks for them: by block coordinates z, y, x."""

    number = BLOCK.number

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def key(self, at: tuple[int, int, int]) -> bytes:
        """The tkey of a block."""
        return BLOCK.key(self.scale, at)

    def unpack(self, tkey: bytes) -> tuple[tuple[int, int, int]]:
        """The block coordinates in a tkey."""
        return (BLOCK.unpack(tkey)[1],)
