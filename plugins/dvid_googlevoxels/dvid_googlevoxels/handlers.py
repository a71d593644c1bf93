"""The endpoints of googlevoxels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec
from cramjam import lz4

from dvid_core import OCTETS, About, BadRequest, Flag, NotFound, Param, Reply, Switch, Vec3, View, get
from dvid_voxels.geometry import Box
from dvid_voxels.images import Format, check_picture, parse_format
from dvid_voxels.paths import Plane, PlaneName, Size, check_bytes
from dvid_voxels.throttle import throttled, throttled_stream

from .geometry import Geometry, Shape
from .padded import blank, padded
from .settings import WIDEST

if TYPE_CHECKING:
    from .googlevoxels import GoogleVoxels

LZ4_BYTES = 256 << 20
"""Bytes of voxels that are compressed, which is done in memory."""


def parse_scale(text: str) -> int:
    """A scale: 0 to 255."""
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or int(text) > 255:
        raise ValueError("expected a whole number from 0 to 255")
    return int(text)


Scale = Annotated[int, Param(parse_scale, "a scale, 0 to 255; 0 is the finest", {"type": "integer", "minimum": 0})]


class TileQuery(msgspec.Struct, frozen=True):
    """Options of tile."""

    tilesize: Annotated[int | None, About("pixels a side of the tile, and the step of its coordinates")] = None
    noblanks: Annotated[Flag, About("`true`: 404 outside of the volume, instead of a black image")] = False


class RawQuery(msgspec.Struct, frozen=True):
    """Options of raw."""

    scale: Annotated[Scale, About("the scale, 0 (default) is the finest")] = 0
    compression: Annotated[Literal["raw", "lz4", ""], About("of voxels: `raw` or `lz4`, a block without frame")] = ""
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


def instance_of(view: View) -> GoogleVoxels:
    """The instance behind a view."""
    return cast("GoogleVoxels", view.instance)


async def get_tile(view: View, plane: PlaneName, scale: Scale, at: Vec3, query: TileQuery, format: str = "") -> Reply:
    """A tile: along the axes of <plane> (xy, xz, yz) x_y_z counts tiles, along the third it is a voxel of the scale.

    What is beyond the volume is black. <format> is png (default), jpg, jpg:<quality>, tif or bmp.

        GET /api/node/3f8c/remote/tile/xy/0/10_10_20
        GET /api/node/3f8c/remote/tile/xz/2/3_700_1/jpg:80?tilesize=256
    """
    if not plane.is_flat:
        raise BadRequest("plane: expected xy, xz or yz; tiles are two-dimensional")
    side = instance_of(view).settings.TileSize if query.tilesize is None else query.tilesize
    if not 1 <= side <= WIDEST:
        raise BadRequest(f"tilesize: expected 1 to {WIDEST}, got {side}")
    x, y, z = (n * side if axis in plane.axes else n for axis, n in enumerate(at))
    return await _image(view, plane, plane.box((side, side), (x, y, z)), scale, parse_format(format), query.noblanks)


async def get_raw(view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = "") -> Reply:
    """The image of a slice, or the voxels of a box.

    A slice (<plane> xy, xz, yz) may reach beyond the volume, where it is black; <format> is png (default), jpg,
    jpg:<quality>, tif or bmp. A box (vol, 0_1_2) must be inside and comes as bytes, x fastest, then y, then z; wholly
    outside it is empty.

        GET /api/node/3f8c/remote/raw/xy/800_600/1000_2000_50/jpg:80?scale=1
        GET /api/node/3f8c/remote/raw/0_1_2/64_64_64/0_0_0?compression=lz4
    """
    box = plane.box(size, offset)
    with throttled(view, query.throttle):
        if plane.is_flat:
            return await _image(view, plane, box, query.scale, parse_format(format), noblanks=False)
        if format.lower() not in ("", "nd"):
            raise BadRequest(f"format: the voxels of a box come as bytes, not as {format[:40]!r}")
        reply = await _voxels(view, box, query)
    if reply.stream is not None:
        reply.stream = throttled_stream(view, query.throttle, reply.stream)
    return reply


async def _image(view: View, plane: Plane, box: Box, scale: int, form: Format, noblanks: bool) -> Reply:
    across, down = plane.axes
    width, height = box.size[2 - across], box.size[2 - down]
    instance = instance_of(view)
    shape = cast("Shape", plane.name.upper())
    number, geometry = instance.scales.find(shape, scale)
    check_picture(form, width, height, geometry.itemsize)
    inside = box.common(geometry.box)
    if inside is None:
        if noblanks:
            raise NotFound(f"tile not found: all of it is outside of the volume, {_named(geometry)}")
        return Reply(await view.run(blank, width, height, form), form.content_type)
    sent = form if inside == box and form.kind in ("png", "jpeg") else Format("png")
    data = await instance.service.image(number, inside, sent)
    if sent is not form or inside != box:
        left, top = (inside.low[2 - axis] - box.low[2 - axis] for axis in (across, down))
        part = inside.size[2 - across], inside.size[2 - down]
        data = await view.run(padded, data, part, width, height, left, top, form)
    return Reply(data, form.content_type)


async def _voxels(view: View, box: Box, query: RawQuery) -> Reply:
    instance = instance_of(view)
    number, geometry = instance.scales.find("XYZ", query.scale)
    inside = box.common(geometry.box)
    if inside is None:
        return Reply(b"", OCTETS)
    if inside != box:
        raise BadRequest(f"the box reaches beyond the volume, {_named(geometry)}")
    check_bytes(box.count, geometry.itemsize)
    nbytes = box.count * geometry.itemsize
    stream = instance.service.voxels(number, box, nbytes)
    if query.compression != "lz4":
        return Reply(stream=stream, length=nbytes)
    check_bytes(box.count, geometry.itemsize, LZ4_BYTES)
    data = b"".join([piece async for piece in stream])
    return Reply(await view.run(_packed, data), OCTETS)


def _packed(data: bytes) -> bytes:
    return bytes(lz4.compress_block(data, store_size=False))


def _named(geometry: Geometry) -> str:
    return f"which has {' x '.join(map(str, geometry.volumeSize))} voxels"


ROUTES = (
    get("tile/{plane}/{scale}/{at}/{format}", get_tile, query=TileQuery),
    get("raw/{plane}/{size}/{offset}/{format}", get_raw, query=RawQuery),
)
