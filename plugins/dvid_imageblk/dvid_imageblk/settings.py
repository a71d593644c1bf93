"""What an image instance can be told when it is made."""

from __future__ import annotations

from typing import Annotated

import msgspec
from dvid_voxels.settings import VoxelSettings


class ImageSettings(VoxelSettings, frozen=True, kw_only=True):
    """Settings of the image datatypes."""

    GridStore: str = ""
    ScaleLevel: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
