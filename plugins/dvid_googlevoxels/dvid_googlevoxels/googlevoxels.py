"""The datatype `googlevoxels`."""

from __future__ import annotations

import functools
from typing import Any, cast

import msgspec

from dvid_core import BadRequest, Info, Instance, Unavailable, View
from dvid_core import Settings as AnySettings
from dvid_voxels.extents import number
from dvid_voxels.settings import with_lists

from .account import configured
from .brainmaps import BrainMaps
from .geometry import Scales, arranged, shown
from .handlers import ROUTES
from .settings import GoogleSettings, checked


class GoogleVoxels(Instance):
    """A window on a volume of images that a Google BrainMaps service holds: tiles, slices and voxels, read only.

    Nothing of the volume is stored here. The server asks the service by a right that its operator configured, see the
    plug-in's README; clients name the volume alone.
    """

    typename = "googlevoxels"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/googlevoxels"
    Settings = GoogleSettings
    routes = ROUTES
    settings: GoogleSettings
    service: BrainMaps

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> GoogleSettings:
        # What a new instance says about its scales is not asked for.
        new = any(name.lower() == "typename" for name in raw)
        known = {name: value for name, value in raw.items() if not (new and name.lower() == "scales")}
        return checked(cast("GoogleSettings", super().read_settings(with_lists(known))))

    @classmethod
    async def admit(cls, server: Any, settings: AnySettings) -> AnySettings:
        """The settings with the scales of the volume; `BadRequest` when the service does not tell them."""
        wanted = cast("GoogleSettings", settings)
        account = configured(server.config.plugins.get("googlevoxels", {}))
        if not account.knows(wanted.JWTFile):
            raise BadRequest("jwtfile: the server uses the key file that its operator configured; leave it out")
        service = BrainMaps(account, wanted.VolumeID, server.kernels.run)
        try:
            found = await service.geometries()
        except Unavailable as err:
            raise BadRequest(f"volumeid: {err}") from None
        finally:
            await service.aclose()
        return msgspec.structs.replace(wanted, Scales=list(found))

    async def open(self) -> None:
        account = configured(self.server.config.plugins.get("googlevoxels", {}))
        self.service = BrainMaps(account, self.settings.VolumeID, self.server.kernels.run)

    async def close(self) -> None:
        await self.service.aclose()

    @functools.cached_property
    def scales(self) -> Scales:
        """The scaled volumes; known once the instance is open."""
        return arranged(self.settings.Scales or [])

    async def info(self, view: View) -> Info:
        scales, side = self.scales, self.settings.TileSize
        finest = scales.geometries[scales.finest]
        levels = {
            str(n): {"Resolution": [number(r * 2.0**n) for r in finest.pixelSize], "TileSize": [side] * 3}
            for n in range(scales.deepest + 1)
        }
        return Info(
            extended={
                "VolumeID": self.settings.VolumeID,
                "MinTileCoord": [0, 0, 0],
                "MaxTileCoord": [-(-n // side) for n in finest.volumeSize],
                "TileSize": side,
                "GeomMap": {f"{shape}:{scale}": n for (shape, scale), n in scales.places.items()},
                "Scales": [shown(geometry) for geometry in scales.geometries],
                "HighResIndex": scales.finest,
                "Levels": levels,
            }
        )
