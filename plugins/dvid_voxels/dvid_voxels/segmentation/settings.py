"""What an instance of label volumes can be told when it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from dvid_core import BadRequest

from ..settings import VoxelSettings, extents_box

BLOCK_VOXELS = 1 << 24
"""Voxels of the largest block: it is worked on whole."""


class LabelSettings(VoxelSettings, frozen=True, kw_only=True):
    """Settings of label volumes, by the wire's names."""

    step: ClassVar[int] = 16
    """What sides of blocks are multiples of."""

    BlockSize: tuple[int, int, int] = (64, 64, 64)
    IndexedLabels: bool = True
    MaxDownresLevel: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    GridStore: str = ""
    ScaleLevel: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0


NAMES = {f.encode_name.lower() for f in msgspec.structs.fields(LabelSettings)}

CHANGEABLE = ("voxelsize", "voxelunits", "maxdownreslevel", "background")
"""What POST info changes at any time; MinPoint and MaxPoint only while nothing was written."""


def check_strings(raw: Mapping[str, Any]) -> None:
    """Raise `BadRequest` unless all settings in what a client sent are strings."""
    for name, value in raw.items():
        if name.lower() in NAMES and not isinstance(value, str):
            raise BadRequest(f"{name}: settings are given as strings, got {value!r:.80}")


def checked(settings: LabelSettings) -> LabelSettings:
    """`settings` if they go together; `BadRequest` names what does not."""
    for name, side in zip("xyz", settings.BlockSize):
        if side % settings.step or not settings.step <= side <= 1024:
            raise BadRequest(f"BlockSize: {name} must be a multiple of {settings.step} up to 1024, got {side}")
    if math.prod(settings.BlockSize) > BLOCK_VOXELS:
        raise BadRequest(f"BlockSize: a block would have more than {BLOCK_VOXELS} voxels")
    if (settings.MinPoint is None) != (settings.MaxPoint is None):
        raise BadRequest("MinPoint, MaxPoint: both or none of them must be given")
    if settings.MinPoint is not None and settings.MaxPoint is not None:
        extents_box(settings.MinPoint, settings.MaxPoint)
    return settings
