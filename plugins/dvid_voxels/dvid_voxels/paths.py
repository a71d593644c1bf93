"""What voxel requests name in their paths: planes, sizes, offsets; checked against limits before anything is read."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Param

from .geometry import Box, Triple

REQUEST_BYTES = 3 << 30
"""Bytes of voxels that one request can be about."""

_INT = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_FLOAT = re.compile(r"-?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?", re.ASCII)


class Plane(msgspec.Struct, frozen=True):
    """Which axes a request spans: 0, 1, 2 for x, y, z; the first runs fastest (along an image's width)."""

    name: str
    axes: tuple[int, ...]

    @property
    def is_flat(self) -> bool:
        """Whether it is an image."""
        return len(self.axes) == 2

    def box(self, size: tuple[int, ...], offset: tuple[int, int, int]) -> Box:
        """The box of `size` (in the order of the axes) at `offset` (x, y, z).  Raises `BadRequest`."""
        if len(size) != len(self.axes):
            raise BadRequest(f"size: {self.name} has {len(self.axes)} dimensions, got {len(size)} numbers")
        full = [1, 1, 1]
        for axis, n in zip(self.axes, size):
            full[axis] = n
        return box_of((full[0], full[1], full[2]), offset)

    @property
    def normal(self) -> int:
        """The axis that a flat one is perpendicular to: 0, 1, 2 for x, y, z."""
        return 3 - sum(self.axes)

    def flat(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """The voxels (z, y, x) of a box that is one thick, as an image (h, w)."""
        return voxels.squeeze(axis=2 - self.normal)

    def slices(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """The voxels (z, y, x) of a box as the images of its slices (slices, h, w)."""
        return np.moveaxis(voxels, 2 - self.normal, 0)


PLANES = (Plane("xy", (0, 1)), Plane("xz", (0, 2)), Plane("yz", (1, 2)), Plane("vol", (0, 1, 2)))
_PLANES = {text: p for p in PLANES for text in (p.name, "_".join(map(str, p.axes)), ",".join(map(str, p.axes)))}


def parse_plane(text: str) -> Plane:
    """`xy`, `0_1` or `0,1`, and so on, in any case."""
    plane = _PLANES.get(text.lower())
    if plane is None:
        raise ValueError("expected xy, xz, yz or vol (0_1, 0_2, 1_2 or 0_1_2)")
    return plane


def parse_size(text: str) -> tuple[int, ...]:
    """Positive whole numbers joined by underscores (commas are taken too)."""
    parts = re.split("[_,]", text)
    if not all(_INT.fullmatch(p) and 0 < int(p) < 2**31 for p in parts):
        raise ValueError("expected positive whole numbers joined by '_', such as 64_64_64")
    return tuple(map(int, parts))


def parse_point(text: str) -> tuple[float, float, float]:
    """Three finite numbers x, y, z joined by underscores."""
    parts = text.split("_")
    if len(parts) != 3 or not all(map(_FLOAT.fullmatch, parts)):
        raise ValueError("expected three numbers joined by '_', such as 10.5_20_30")
    x, y, z = map(float, parts)
    return x, y, z


PlaneName = Annotated[Plane, Param(parse_plane, "xy, xz, yz or vol; also 0_1, 0_2, 1_2, 0_1_2")]
Size = Annotated[tuple[int, ...], Param(parse_size, "positive whole numbers joined by '_', in the order of the axes")]
Point3 = Annotated[tuple[float, float, float], Param(parse_point, "three numbers x_y_z")]


def box_of(size: tuple[int, int, int], offset: tuple[int, int, int]) -> Box:
    """The box of a size and an offset, both x, y, z.  Raises `BadRequest` when it leaves the space of coordinates."""
    for name, n, at in zip("xyz", size, offset):
        if n < 1:
            raise BadRequest(f"size: {name} must be positive, got {n}")
        if not -(2**31) <= at <= at + n < 2**31:
            raise BadRequest(f"offset: from {at} {n} voxels along {name} go beyond 32-bit coordinates")
    return Box(offset[::-1], size[::-1])


def check_bytes(count: int, itemsize: int, limit: int = REQUEST_BYTES) -> None:
    """Raise `BadRequest` when `count` voxels are more than a request can be about."""
    if count * itemsize > limit:
        raise BadRequest(f"size: {count * itemsize} bytes of voxels are more than the {limit} of one request")


def check_aligned(box: Box, block: Triple) -> None:
    """Raise `BadRequest` unless `box` consists of whole blocks."""
    for name, what in (("offset", box.low), ("size", box.size)):
        if any(n % b for n, b in zip(what, block)):
            raise BadRequest(
                f"{name}: {'_'.join(map(str, what[::-1]))} is no multiple of the block size "
                f"{'_'.join(map(str, block[::-1]))}"
            )


def parse_blocks(text: str) -> list[Triple]:
    """Block coordinates from x,y,z,x,y,z,... without repetitions.  Raises `BadRequest`."""
    if not text:
        return []
    parts = text.split(",")
    if len(parts) % 3 or not all(_INT.fullmatch(p) and -(2**31) <= int(p) < 2**31 for p in parts):
        raise BadRequest("blocks: expected whole numbers x,y,z,x,y,z,..., three for each block")
    numbers = list(map(int, parts))
    return list(dict.fromkeys(zip(numbers[2::3], numbers[1::3], numbers[::3])))
