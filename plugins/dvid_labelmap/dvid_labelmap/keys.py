"""Stored keys of a labelmap.

Block coordinates in values are packed as `block_keys` does; a *cell* is a cube of 16 x 16 x 16 blocks.
"""

from __future__ import annotations

from dvid_core import U8, U64, ZYX, KeyClass

BLOCK = KeyClass(1, "block", U8, ZYX)
"""Scale and block coordinates -> a compressed label block of supervoxels, as it is or as a gzip member."""

EXTENTS = KeyClass(2, "extents")
"""The box that was written, see `dvid_voxels.extents`."""

BODY = KeyClass(3, "body", U64)
"""The index of a body: see `dvid_labelmap.body`."""

SEGMENT = KeyClass(4, "segment of an index", U64, U64, U64)
"""Owner, supervoxel and cell -> (block within the cell, voxels) of that supervoxel, see `dvid_labelmap.body`."""

POSTED = KeyClass(5, "posted mapping", U64)
"""Mutation id -> a mapping that is too long for its log record: supervoxels, then bodies, u64 LE each."""

SNAPSHOT = KeyClass(6, "snapshot of the state in memory")
"""What `open` begins with, see `dvid_labelmap.snapshot`."""

DIRTY = KeyClass(7, "blocks of lower scales that are to be computed", U64)
"""A number -> what an ingest has still to do, see `dvid_labelmap.pyramid`."""

CLASSES = (BLOCK, EXTENTS, BODY, SEGMENT, POSTED, SNAPSHOT, DIRTY)


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
