"""Image volumes: versioned 3-d arrays of voxels, cut into blocks."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .imageblk import Float32Blk, Rgba8Blk, Uint8Blk, Uint16Blk, Uint32Blk, Uint64Blk

__all__ = ["Float32Blk", "Rgba8Blk", "Uint8Blk", "Uint16Blk", "Uint32Blk", "Uint64Blk", "dvid_datatypes"]


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Uint8Blk, Uint16Blk, Uint32Blk, Uint64Blk, Float32Blk, Rgba8Blk]
