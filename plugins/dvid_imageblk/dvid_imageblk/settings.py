"""What an image instance can be told when it is made."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import About
from dvid_voxels.grids import GridScale
from dvid_voxels.settings import VoxelSettings


class ImageSettings(VoxelSettings, frozen=True, kw_only=True):
    """Settings of the image datatypes."""

    GridStore: Annotated[
        str,
        About(
            "alias of a store that holds a volume of its own (as of the engine ngprecomputed), to be shown read-only"
        ),
    ] = ""
    ScaleLevel: Annotated[int, msgspec.Meta(ge=0, le=255), About("which scale of it, 0 is the finest")] = 0

    def showing(self, scale: GridScale) -> ImageSettings:
        """The same with the sizes of a volume that lies elsewhere."""
        return msgspec.structs.replace(
            self,
            BlockSize=scale.block[::-1],
            VoxelSize=scale.voxel_size,
            VoxelUnits=("nanometers",) * 3,
            MinPoint=None,
            MaxPoint=None,
        )
