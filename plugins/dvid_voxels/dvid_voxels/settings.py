"""`VoxelSettings`: what all voxel instances can be told when they are made; names and order x, y, z are the wire's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from dvid_core import About, BadRequest, Settings
from dvid_core import Compression as Wanted

from .geometry import Box, Triple

BLOCK_BYTES = 8 << 20
"""Bytes of the voxels of the largest block: each is one value of the store."""

Width = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Length = Annotated[float, msgspec.Meta(ge=1e-20, le=1e20)]
Coordinate = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
Point = tuple[Coordinate, Coordinate, Coordinate]
Lengths = tuple[Length, Length, Length]


class VoxelSettings(Settings, frozen=True, kw_only=True):
    """Base of the settings of voxel datatypes."""

    BlockSize: Annotated[
        tuple[Width, Width, Width], About("x,y,z of a block in voxels, the unit of storage and of writing")
    ] = (32, 32, 32)
    VoxelSize: Annotated[Lengths, About("x,y,z of a voxel")] = (8.0, 8.0, 8.0)
    VoxelUnits: Annotated[tuple[str, str, str], About("the units of VoxelSize along x,y,z")] = (
        "nanometers",
        "nanometers",
        "nanometers",
    )
    Background: Annotated[int, msgspec.Meta(ge=0, le=255), About("0 to 255: the byte of voxels without a block")] = 0
    MinPoint: Annotated[Point | None, About("x,y,z of the extents to show until something is written")] = None
    MaxPoint: Annotated[Point | None, About("their last voxel; goes with MinPoint")] = None
    Compression: Annotated[
        str, About("how blocks are stored: none, snappy, lz4, gzip, gzip:<level>, jpeg; empty: the server's choice")
    ] = ""

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        x, y, z = self.BlockSize
        return z, y, x

    @property
    def preset(self) -> Box | None:
        """The extents that show until something is written."""
        if self.MinPoint is None or self.MaxPoint is None:
            return None
        return extents_box(self.MinPoint, self.MaxPoint)

    @property
    def wanted_compression(self) -> Wanted | None:
        """The compression that was asked for."""
        return Wanted.read(self.Compression) if self.Compression else None

    def resized(self, lengths: Any) -> Any:
        """The same with another VoxelSize, [x, y, z].  Raises `BadRequest`."""
        try:
            return msgspec.structs.replace(self, VoxelSize=msgspec.convert(lengths, Lengths))
        except msgspec.ValidationError as err:
            raise BadRequest(f"the body must be [x, y, z], three positive numbers: {err}") from None


V = TypeVar("V", bound=VoxelSettings)


def with_lists(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the core reads them: those of an instance that was just made hold tuples, stored ones lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in raw.items()}


def checked(settings: V, itemsize: int) -> V:
    """`settings` of voxels of so many bytes, if they go together; `BadRequest` names what does not."""
    nbytes = math.prod(settings.BlockSize) * itemsize
    if nbytes > BLOCK_BYTES:
        raise BadRequest(f"BlockSize: a block would have {nbytes} bytes of voxels; at most {BLOCK_BYTES} are possible")
    if (settings.MinPoint is None) != (settings.MaxPoint is None):
        raise BadRequest("MinPoint, MaxPoint: both or none of them must be given")
    settings.preset  # noqa: B018  (raises what is wrong with it)
    if settings.Compression.lower() == "jpeg":
        _, y, z = settings.BlockSize
        if itemsize != 1:
            raise BadRequest("Compression: jpeg stores gray images, so it is for voxels of one byte only")
        if y * z > 65_500:
            raise BadRequest(f"BlockSize: a JPEG of {y * z} rows (y * z) is not possible; at most 65500 are")
    return settings


def extents_box(low: Point, high: Point) -> Box:
    """The box from the voxel `low` to the voxel `high`, both x, y, z and inside.  Raises `BadRequest`."""
    if any(a > b for a, b in zip(low, high)):
        raise BadRequest(f"MinPoint {list(low)} must not be beyond MaxPoint {list(high)}")
    x, y, z = low
    sx, sy, sz = (b - a + 1 for a, b in zip(low, high))
    return Box((z, y, x), (sz, sy, sx))
