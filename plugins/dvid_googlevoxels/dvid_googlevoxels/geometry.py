"""`Geometry`: one of the scaled volumes that the service holds; and which of them is meant by a shape and a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from dvid_core import BadRequest, Unavailable
from dvid_voxels.geometry import Box

Shape: TypeAlias = Literal["XY", "XZ", "YZ", "XYZ"]
SHAPES: tuple[Shape, ...] = ("XY", "XZ", "YZ", "XYZ")

ITEMS = {"UINT8": 1, "FLOAT": 4, "UINT64": 8}
"""Bytes of a value, by channel type."""

Size = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Length = Annotated[float, msgspec.Meta(gt=0, le=1e30)]


class Geometry(msgspec.Struct, frozen=True):
    """Names are the wire's, vectors x, y, z."""

    volumeSize: tuple[Size, Size, Size]
    channelCount: Size
    channelType: str
    pixelSize: tuple[Length, Length, Length]

    @property
    def box(self) -> Box:
        """All its voxels."""
        return Box((0, 0, 0), self.volumeSize[::-1])

    @property
    def itemsize(self) -> int:
        """Bytes of a voxel.  Raises `BadRequest` when they are not known."""
        if self.channelType not in ITEMS:
            raise BadRequest(f"the volume has voxels of the type {self.channelType!r}, which cannot be shown")
        return ITEMS[self.channelType] * self.channelCount


class _Sizes(msgspec.Struct):
    x: int
    y: int
    z: int


class _Lengths(msgspec.Struct):
    x: float
    y: float
    z: float


class _Served(msgspec.Struct):
    volumeSize: _Sizes
    pixelSize: _Lengths
    channelType: str
    channelCount: int = 1


class _Metadata(msgspec.Struct):
    geometry: list[_Served]


def read_geometries(data: bytes) -> tuple[Geometry, ...]:
    """The scaled volumes that the service's metadata name; it writes its whole numbers as texts.

    Raises `Unavailable`.
    """
    try:
        found = msgspec.json.decode(data, type=_Metadata, strict=False).geometry
        plain = [
            {
                "volumeSize": (g.volumeSize.x, g.volumeSize.y, g.volumeSize.z),
                "pixelSize": (g.pixelSize.x, g.pixelSize.y, g.pixelSize.z),
                "channelCount": g.channelCount,
                "channelType": g.channelType,
            }
            for g in found
        ]
        geometries = msgspec.convert(plain, tuple[Geometry, ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise Unavailable(f"the BrainMaps service describes the volume in an unknown way: {err}") from None
    if not geometries:
        raise Unavailable("the BrainMaps service names no scales of the volume")
    return geometries


class Scales(msgspec.Struct, frozen=True):
    """The scaled volumes of one volume."""

    geometries: tuple[Geometry, ...]
    finest: int
    places: dict[tuple[Shape, int], int]
    """Shape and scale -> the number of the geometry."""

    @property
    def deepest(self) -> int:
        """The coarsest scale of any shape."""
        return max(scale for _, scale in self.places)

    def find(self, shape: Shape, scale: int) -> tuple[int, Geometry]:
        """The geometry for images or volumes of a shape, and its number.  Raises `BadRequest`.

        Where a plane has none of its own at this scale, that which is coarser in all directions serves.
        """
        for wanted in (shape, "XYZ"):
            number = self.places.get((wanted, scale))
            if number is not None:
                return number, self.geometries[number]
        known = sorted({s for kind, s in self.places if kind in (shape, "XYZ")})
        raise BadRequest(f"scale: there is none of {scale} for {shape}; there are {', '.join(map(str, known))}")


def arranged(geometries: Sequence[Geometry]) -> Scales:
    """The finest is scale 0 of all shapes; of the others the ratio of their pixels says scale and shape."""
    finest = min(range(len(geometries)), key=lambda n: math.prod(geometries[n].pixelSize))
    base = geometries[finest].pixelSize
    places: dict[tuple[Shape, int], int] = {(shape, 0): finest for shape in SHAPES}
    for n, geometry in enumerate(geometries):
        if n == finest:
            continue
        x, y, z = (a / b for a, b in zip(geometry.pixelSize, base))
        scale = max(0, math.ceil(math.log2(max(x, y, z))))
        places.setdefault((_shape(x, y, z), scale), n)
    return Scales(tuple(geometries), finest, places)


def _shape(x: float, y: float, z: float) -> Shape:
    if x > z and y > z:
        return "XY"
    if x > y and z > y:
        return "XZ"
    if y > x and z > x:
        return "YZ"
    return "XYZ"


def shown(geometry: Geometry) -> dict[str, Any]:
    """A geometry as info shows it."""
    built: dict[str, Any] = msgspec.to_builtins(geometry)
    return built
