"""What a labelvol can be told when it is made."""

from __future__ import annotations

from typing import ClassVar

from dvid_voxels.segmentation.settings import LabelSettings

OWN = frozenset(("blocksize", "voxelsize", "voxelunits", "compression"))
"""Settings that a labelvol has, by their names in lower case; others that label volumes know are ignored."""


class LabelVolSettings(LabelSettings, frozen=True, kw_only=True):
    """Settings of labelvol, by the wire's names."""

    step: ClassVar[int] = 8

    BlockSize: tuple[int, int, int] = (32, 32, 32)
