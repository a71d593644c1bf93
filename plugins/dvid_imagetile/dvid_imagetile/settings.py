"""Settings of imagetile; the metadata are among them, since they have no versions."""

from __future__ import annotations

from typing import Any

import msgspec
from dvid_voxels.images import Format
from dvid_voxels.settings import Point, with_lists

from dvid_core import BadRequest, Compression, Settings

from .levels import Level, Levels, Metadata, checked_levels

ENCODINGS = ("lz4", "png", "jpg")
"""The values of Format; their places are what info shows as Encoding."""


class TileSettings(Settings, frozen=True, kw_only=True):
    """What an imagetile can be told when it is made."""

    Format: str = "png"
    Source: str = ""
    Placeholder: bool = False
    Compression: str = ""
    """As it was given; it can only be what Format implies."""
    MinTileCoord: Point = (0, 0, 0)
    MaxTileCoord: Point = (0, 0, 0)
    Levels: dict[str, Level] = {}

    @property
    def levels(self) -> Levels:
        """The levels in order; none before they are set."""
        return tuple(self.Levels[str(n)] for n in range(len(self.Levels)))

    @property
    def kept(self) -> Format:
        """How generated tiles are stored, and the type with which all are sent: `lz4` means without loss, so PNG."""
        return Format("jpeg") if self.Format == "jpg" else Format("png")

    @property
    def compression(self) -> Compression:
        """What info shows."""
        return Compression("lz4" if self.Format == "lz4" else "none")

    def described(self, metadata: Metadata) -> TileSettings:
        """The same with other metadata.  Raises `BadRequest`."""
        checked_levels(metadata.Levels)
        return msgspec.structs.replace(
            self, MinTileCoord=metadata.MinTileCoord, MaxTileCoord=metadata.MaxTileCoord, Levels=metadata.Levels
        )


def checked(settings: TileSettings) -> TileSettings:
    """`settings` with Format in lower case, if they go together.  Raises `BadRequest`."""
    form = settings.Format.lower()
    if form not in ENCODINGS:
        raise BadRequest(f"Format: expected lz4, png or jpg, got {settings.Format[:40]!r}")
    settings = msgspec.structs.replace(settings, Format=form)
    if settings.Compression and Compression.read(settings.Compression) != settings.compression:
        raise BadRequest(f"Compression: Format {form} implies {settings.compression.codec}; leave it out")
    if settings.Levels:
        checked_levels(settings.Levels)
    return settings


def loose(raw: dict[str, Any]) -> dict[str, Any]:
    """Settings from the wire or as they are stored, for `read_settings`."""
    return with_lists(raw)
