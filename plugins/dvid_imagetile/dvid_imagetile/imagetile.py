"""The datatype `imagetile`."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from dvid_core import Compression, Info, Instance, View
from dvid_core import Settings as AnySettings
from dvid_voxels.settings import with_lists

from .generation import Generation
from .handlers import ROUTES
from .keys import TILE
from .levels import Metadata, shown_levels
from .settings import ENCODINGS, TileSettings, checked


class ImageTile(Instance):
    """Precomputed 2-d tiles of an image volume in the planes xy, xz and yz, at several scales, per version.

    Tiles are posted by clients, or generated from a volume of this repo (see generate). The
    levels, that is their resolutions and tile sizes, have no versions: POST metadata sets them for all.
    """

    typename = "imagetile"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/imagetile"
    Settings = TileSettings
    keys = (TILE,)
    routes = ROUTES
    settings: TileSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.generation: Generation | None = None
        """The one that runs, or the last one."""

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> TileSettings:
        return checked(cast("TileSettings", super().read_settings(with_lists(raw))))

    @classmethod
    def compression(cls, wanted: Compression, settings: AnySettings) -> Compression:
        return cast("TileSettings", settings).compression

    async def describe(self, metadata: Metadata) -> None:
        """Set other metadata.  Raises `BadRequest`."""
        async with self.repo.lock():
            settings = self.settings.described(metadata)
            await self.server.repos.change_instance(self, settings=msgspec.to_builtins(settings))
            self.settings = settings

    async def close(self) -> None:
        if self.generation is not None:
            await self.generation.stop()

    async def info(self, view: View) -> Info:
        settings = self.settings
        return Info(
            extended={
                "Source": settings.Source,
                "MinTileCoord": settings.MinTileCoord,
                "MaxTileCoord": settings.MaxTileCoord,
                "Levels": shown_levels(settings.levels),
                "Placeholder": settings.Placeholder,
                "Encoding": ENCODINGS.index(settings.Format),
                "Quality": 0,
            }
        )
