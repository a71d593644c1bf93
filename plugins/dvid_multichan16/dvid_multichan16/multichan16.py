"""The datatype `multichan16`."""

from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np

from dvid_core import Info, Instance, View
from dvid_voxels.codecs import Codec, warm
from dvid_voxels.extents import corners, read_extents, shown
from dvid_voxels.geometry import Box
from dvid_voxels.settings import checked, with_lists
from dvid_voxels.volume import Volume

from .channels import read_channels
from .handlers import ROUTES
from .keys import BLOCK, CHANNELS, EXTENTS, ChannelBlock
from .settings import ChannelSettings

ITEM = "<u2"


class MultiChan16(Instance):
    """Volumes of several channels of 16 bits, as fluorescence microscopes make them, per version.

    A volume is loaded as a V3D raw file (POST load) and shown slice by slice: one channel, or the first three as the
    red, green and blue of one image. Channels are numbered from 1 and stored apart, in blocks.
    """

    typename = "multichan16"
    type_version = "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/multichan16"
    Settings = ChannelSettings
    keys = (BLOCK, EXTENTS, CHANNELS)
    routes = ROUTES
    settings: ChannelSettings

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> ChannelSettings:
        settings = cast("ChannelSettings", super().read_settings(with_lists(raw)))
        return checked(settings, np.dtype(ITEM).itemsize)

    async def open(self) -> None:
        await self.server.kernels.run(warm)

    @functools.cached_property
    def codec(self) -> Codec:
        """How blocks are stored; nothing of it changes after creation."""
        return Codec.choose(self.settings.block, ITEM, self.settings.wanted_compression, self.record.checksum)

    def volume(self, view: View, channel: int) -> Volume:
        """The blocks of a channel as `view` sees them."""
        return Volume(view, ChannelBlock(channel), self.codec)

    async def extents(self, view: View) -> Box | None:
        """The box that was loaded, or what was given at creation."""
        return await read_extents(view, EXTENTS) or self.settings.preset

    def shown_extents(self, box: Box | None) -> dict[str, list[int] | None]:
        """Extents as the wire shows them."""
        return corners(box)

    async def info(self, view: View) -> Info:
        count = len(await read_channels(view))
        values = [{"DataType": "uint16", "Label": f"channel{n}"} for n in range(1, count + 1)]
        return Info(
            extended={
                **shown(self.settings, await self.extents(view), values, interpolable=True),
                "Values": values or None,
                "GridStore": "",
                "ScaleLevel": 0,
                "NumChannels": count,
            }
        )
