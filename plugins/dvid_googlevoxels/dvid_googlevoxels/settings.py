"""Settings of googlevoxels."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from dvid_core import About, BadRequest, Settings

from .geometry import Geometry

TILE = 512
WIDEST = 8192


class GoogleSettings(Settings, frozen=True, kw_only=True):
    """What a googlevoxels can be told when it is made."""

    VolumeID: Annotated[str, About("the volume's name in the service, such as 281930192:stanford")]
    JWTFile: Annotated[str, About("the server's own key file, if you know it; others are refused")] = ""
    TileSize: Annotated[int, msgspec.Meta(ge=1, le=WIDEST), About("pixels a side of a tile")] = TILE
    Scales: Annotated[list[Geometry] | None, About("kept by the server")] = None


def checked(settings: GoogleSettings) -> GoogleSettings:
    """`settings` if they can be; `BadRequest` names what is wrong."""
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,200}", settings.VolumeID, re.ASCII) or not settings.VolumeID.strip(".:"):
        raise BadRequest(f"volumeid: expected letters, digits and _ . : - alone, got {settings.VolumeID[:60]!r}")
    return settings
