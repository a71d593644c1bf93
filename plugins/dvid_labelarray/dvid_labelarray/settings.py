"""What a labelarray can be told when it is made."""

from __future__ import annotations

from typing import ClassVar

from dvid_voxels.segmentation.settings import LabelSettings


class LabelArraySettings(LabelSettings, frozen=True, kw_only=True):
    """Settings of labelarray, by the wire's names."""

    step: ClassVar[int] = 8

    CountLabels: bool = True
    """Shown as it was given; voxels are counted in any case."""
