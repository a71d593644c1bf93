"""The datatype `roi`."""

from __future__ import annotations

from typing import TypeVar

from dvid_core import Info, Instance, View
from dvid_voxels.peers import RoiMask
from dvid_voxels.regions import Region

from .handlers import EMPTY_MAX, EMPTY_MIN, ROUTES
from .keys import SPANS
from .region import VersionRegion
from .settings import RoiSettings

P = TypeVar("P")


class Roi(Instance):
    """A region of interest, per version: a set of blocks of voxel space.

    The region is written and read as spans [z, y, x0, x1] in block coordinates, x1 inside. Block b covers the voxels
    b * size to (b + 1) * size - 1 along each axis; coordinates may be negative.

    Other types take the name of an roi where they offer the option `roi=`: image and label volumes show and write only
    the blocks inside, annotations give the elements inside, labelsz counts those.
    """

    typename = "roi"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/roi"
    Settings = RoiSettings
    keys = (SPANS,)
    routes = ROUTES
    settings: RoiSettings

    async def info(self, view: View) -> Info:
        extents = await VersionRegion(view, self.settings.block).extents()
        return Info(
            extended={
                "BlockSize": self.settings.block[::-1],
                "MinZ": EMPTY_MIN if extents is None else extents.low[0],
                "MaxZ": EMPTY_MAX if extents is None else extents.high[0] - 1,
            }
        )

    def offer(self, protocol: type[P], view: View) -> P | None:
        if protocol in (RoiMask, Region):
            return VersionRegion(view, self.settings.block)  # type: ignore[return-value]
        return None
