"""The image datatypes: one class for each kind of voxel."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np

from dvid_core import BadRequest, Compression, Info, Instance, View
from dvid_core import Settings as AnySettings
from dvid_voxels.codecs import Codec, warm
from dvid_voxels.extents import corners, read_extents, shown
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.grids import Grid, GridVolume
from dvid_voxels.images import PICTURE_BYTES, Picture, Pixels, picture_of
from dvid_voxels.load.source import RGBA
from dvid_voxels.paths import Plane, check_bytes
from dvid_voxels.peers import RoiMask, Voxels
from dvid_voxels.settings import checked, with_lists
from dvid_voxels.volume import Volume

from .handlers import ROUTES
from .keys import BLOCK, EXTENTS, LOAD
from .settings import ImageSettings

if TYPE_CHECKING:
    from dvid_core.server import Server

P = TypeVar("P")


class ImageBlk(Instance):
    """Versioned 3-d images, cut into blocks of a fixed size.

    Made with POST /api/repo/<uuid>/instance and {"typename": "uint8blk", "dataname": "<name>", ...}; the other types
    are uint16blk, uint32blk, uint64blk, float32blk and rgba8blk.  Settings are given as strings.

    Background shows where no block is: in blocks, in arb, outside of an ROI.  A given Compression is also what
    subvolblocks and specificblocks send; jpeg loses detail and is for uint8blk only.  With GridStore the instance shows
    the volume of that store, read-only and the same at every version, and its BlockSize and VoxelSize are the volume's.

    Voxels are little-endian, x runs fastest, then y, then z.
    """

    type_version = "0.1"
    Settings = ImageSettings
    keys = (BLOCK, EXTENTS, LOAD)
    routes = ROUTES
    item: ClassVar[str] = "u1"
    """A voxel as an opaque item."""
    pixels: ClassVar[Pixels] = "gray8"
    """What the voxels of a slice are as pixels."""
    values: ClassVar[tuple[tuple[str, str], ...]] = ()
    """DataType and Label of the values of a voxel."""
    sample: ClassVar[str] = "u1"
    """The dtype of one value of a voxel."""

    settings: ImageSettings

    @property
    def kind(self) -> str:
        """What files that are loaded must hold, see `dvid_voxels.load.source`."""
        return RGBA if len(self.values) > 1 else self.values[0][0]

    @classmethod
    def read_settings(cls, raw: dict[str, Any]) -> ImageSettings:
        return checked(cast("ImageSettings", super().read_settings(with_lists(raw))), np.dtype(cls.item).itemsize)

    @classmethod
    async def admit(cls, server: Server, settings: AnySettings) -> AnySettings:
        wanted = cast("ImageSettings", settings)
        return wanted.showing(cls.grid_of(server, wanted).scale) if wanted.GridStore else wanted

    @classmethod
    def grid_of(cls, server: Server, settings: ImageSettings) -> Grid:
        """The volume that the settings name.  Raises `BadRequest` when it is not there, or of other voxels."""
        grid = Grid.find(server.stores, settings.GridStore, settings.ScaleLevel)
        if grid.scale.sample != cls.sample or np.dtype(cls.sample).itemsize != np.dtype(cls.item).itemsize:
            raise BadRequest(
                f"GridStore: the voxels of {settings.GridStore!r} are {np.dtype(grid.scale.sample)}, not those of a "
                f"{cls.typename}"
            )
        return grid

    @classmethod
    def compression(cls, wanted: Compression, settings: AnySettings) -> Compression:
        if wanted.codec == "jpeg":
            return Compression("jpeg", cast("ImageSettings", settings).BlockSize[0])
        return wanted

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._grid: Grid | None = None
        if self.settings.GridStore:
            with suppress(BadRequest):  # the store is no longer configured: reads will say so
                self._grid = self.grid_of(self.server, self.settings)
                self.settings = self.settings.showing(self._grid.scale)

    async def open(self) -> None:
        await self.server.kernels.run(warm)

    @property
    def grid(self) -> Grid:
        """The volume elsewhere that is shown, if `GridStore` names one.  Raises `BadRequest` when it is not there."""
        return self._grid or self.grid_of(self.server, self.settings)

    def check_own(self) -> None:
        """Raise `BadRequest` unless the voxels are the instance's own, which can be written."""
        if self.settings.GridStore:
            raise BadRequest(
                f"{self.name} shows the volume of the store {self.settings.GridStore!r}, which cannot be written"
            )

    @functools.cached_property
    def codec(self) -> Codec:
        """How blocks are stored; nothing of it changes after creation."""
        if self.settings.GridStore:
            return self.grid.codec(self.item)
        return Codec.choose(self.settings.block, self.item, self.settings.wanted_compression, self.record.checksum)

    def volume(self, view: View, mask: RoiMask | None = None) -> Volume:
        """The blocks as `view` sees them."""
        if self.settings.GridStore:
            source, level = self.grid.source, self.grid.level
            return GridVolume(view, BLOCK, self.codec, self.settings.Background, mask, source=source, level=level)
        return Volume(view, BLOCK, self.codec, self.settings.Background, mask)

    async def extents(self, view: View) -> Box | None:
        """The box that was written, or what was given at creation; of a volume elsewhere all of it."""
        if self.settings.GridStore:
            return self._grid.scale.box if self._grid is not None else None
        return await read_extents(view, EXTENTS) or self.settings.preset

    def extended(self, box: Box | None) -> dict[str, Any]:
        """The part "Extended" of info."""
        values = [{"DataType": kind, "Label": label} for kind, label in self.values]
        settings = self.settings
        return {
            **shown(settings, box, values, interpolable=True),
            "GridStore": settings.GridStore,
            "ScaleLevel": settings.ScaleLevel,
        }

    async def info(self, view: View) -> Info:
        box = await self.extents(view)
        return Info(extended=self.extended(box), extra={"Extents": corners(box)})

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", Seen(self, view)) if protocol is Voxels else None


class Seen:
    """An image instance as `Voxels`, for other datatypes."""

    def __init__(self, instance: ImageBlk, view: View) -> None:
        self._instance, self._view = instance, view

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        return self._instance.settings.VoxelSize

    @property
    def block(self) -> Triple:
        return self._instance.codec.shape

    @property
    def itemsize(self) -> int:
        return np.dtype(self._instance.item).itemsize

    async def extents(self) -> Box | None:
        return await self._instance.extents(self._view)

    async def picture(self, plane: Plane, box: Box) -> Picture:
        volume = self._instance.volume(self._view)
        check_bytes(volume.nbytes(box), 1, PICTURE_BYTES)
        return picture_of(plane.flat(await volume.read(box)), self._instance.pixels)

    async def pictures(self, plane: Plane, box: Box) -> Picture:
        volume = self._instance.volume(self._view)
        check_bytes(volume.nbytes(box), 1, PICTURE_BYTES)
        voxels = plane.slices(await volume.read(box))
        # Where slices lie across the order of the voxels it takes a tenth of the time to turn all at once.
        turned = await self._view.run(np.ascontiguousarray, voxels) if plane.normal == 0 else voxels
        return picture_of(turned, self._instance.pixels)


class Uint8Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename, type_version = "uint8blk", "0.2"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/uint8.go"
    values = (("uint8", "uint8"),)


class Uint16Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename = "uint16blk"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/uint16.go"
    item, sample, pixels = "<u2", "<u2", "gray16"
    values = (("uint16", "uint16"),)


class Uint32Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename = "uint32blk"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/uint32.go"
    item, sample, pixels = "<u4", "<u4", "rgba8"
    values = (("uint32", "uint32"),)


class Uint64Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename = "uint64blk"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/uint64.go"
    item, sample, pixels = "<u8", "<u8", "rgba16"
    values = (("uint64", "uint64"),)


class Float32Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename = "float32blk"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/float32.go"
    item, sample, pixels = "<u4", "<f4", "rgba8"
    values = (("float32", "float32"),)


class Rgba8Blk(ImageBlk):
    __doc__ = ImageBlk.__doc__
    typename, type_version = "rgba8blk", "0.2"
    type_url = "github.com/janelia-flyem/dvid/datatype/imageblk/rgba8.go"
    item, pixels = "<u4", "rgba8"
    values = (("uint8", "red"), ("uint8", "green"), ("uint8", "blue"), ("uint8", "alpha"))
