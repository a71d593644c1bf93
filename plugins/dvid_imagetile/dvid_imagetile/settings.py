"""Settings of imagetile; the metadata are among them, since they have no versions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import About, BadRequest, Settings
from dvid_core import Compression as Codec
from dvid_voxels import images
from dvid_voxels.settings import Point

from .levels import Level, Metadata, checked_levels

ENCODINGS = ("lz4", "png", "jpg")
"""The values of Format; their places are what info shows as Encoding."""


class TileSettings(Settings, frozen=True, kw_only=True):
    """What an imagetile can be told when it is made."""

    Format: Annotated[str, About("png, jpg (loses detail) or lz4 (as png): how tiles are kept")] = "png"
    Source: Annotated[str, About("name of the image instance that tiles are made of")] = ""
    Placeholder: Annotated[bool, About("true: raw and isotropic say where no tile is, else it is black there")] = False
    Compression: Annotated[str, About("can only be what Format implies: lz4 of lz4, else none")] = ""
    MinTileCoord: Annotated[Point, About("as POST metadata sets it")] = (0, 0, 0)
    MaxTileCoord: Annotated[Point, About("as POST metadata sets it")] = (0, 0, 0)
    Levels: Annotated[dict[str, Level] | None, About("as POST metadata sets it")] = None

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels in order; none before they are set."""
        given = self.Levels or {}
        return tuple(given[str(n)] for n in range(len(given)))

    @property
    def kept(self) -> images.Format:
        """How generated tiles are stored, and the type with which all are sent: `lz4` means without loss, so PNG."""
        return images.Format("jpeg" if self.Format == "jpg" else "png")

    @property
    def compression(self) -> Codec:
        """What info shows."""
        return Codec("lz4" if self.Format == "lz4" else "none")

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
    if settings.Compression and Codec.read(settings.Compression) != settings.compression:
        raise BadRequest(f"Compression: Format {form} implies {settings.compression.codec}; leave it out")
    if settings.Levels is not None:
        checked_levels(settings.Levels)
    return settings
