"""Settings of multichan16: those of all voxel datatypes."""

from __future__ import annotations

from dvid_voxels.settings import VoxelSettings


class ChannelSettings(VoxelSettings, frozen=True, kw_only=True):
    """What a multichan16 can be told when it is made."""
