"""The endpoints of the image datatypes."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from dvid_core import (
    EMPTY,
    OCTETS,
    About,
    BadRequest,
    Flag,
    LazyNumber,
    Mutation,
    Reply,
    Request,
    Switch,
    Vec3,
    View,
    get,
    parse_json,
    post,
)  # fmt: skip
from dvid_voxels.extents import ExtentsBody, axes, pack_box
from dvid_voxels.images import parse_format
from dvid_voxels.ingest import Ingest
from dvid_voxels.paths import PlaneName, Point3, Size, check_aligned, check_bytes
from dvid_voxels.peers import RoiMask
from dvid_voxels.resample import source_size
from dvid_voxels.settings import extents_box
from dvid_voxels.throttle import throttled, throttled_stream
from dvid_voxels.volume import Volume

from . import load_handlers
from .arb import Tilted, arb_reply
from .block_handlers import (
    BlocksQuery,
    KeyQuery,
    SpecificQuery,
    StreamQuery,
    get_blocks,
    get_rawkey,
    get_specificblocks,
    get_subvolblocks,
    instance_of,
    post_blocks,
)  # fmt: skip
from .keys import EXTENTS
from .slices import resampled_reply, slice_reply, tall_reply

SMALL = 256 << 10
"""Bytes of a reply that is not streamed."""

ND_DATA = "application/vnd.dvid-nd-data+json"


class RawQuery(msgspec.Struct, frozen=True):
    """Options of raw and isotropic."""

    roi: Annotated[str, About("name of an ROI: blocks outside read as Background and are not written")] = ""
    attenuation: Annotated[
        LazyNumber | None, About("1 to 7, with roi: accepted for old clients, what is outside is hidden all the same")
    ] = None
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


class WriteQuery(RawQuery, frozen=True):
    """Options of POST raw."""

    mutate: Annotated[Flag, About("`true`: written voxels are being replaced; the result is the same")] = False
    unaligned: Annotated[Flag, About("`true`: offset and size need not be multiples of the block size")] = False


class ArbQuery(msgspec.Struct, frozen=True):
    """Options of arb."""

    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


async def masked(view: View, query: RawQuery) -> Volume:
    """The volume behind the ROI that the request names."""
    if not query.roi:
        return instance_of(view).volume(view)
    if query.attenuation is not None and not 1 <= query.attenuation.value("attenuation") <= 7:
        raise BadRequest(f"attenuation: expected 1 to 7, got {query.attenuation.text}")
    return instance_of(view).volume(view, await view.peer(query.roi, RoiMask))


async def get_raw(view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = "") -> Reply:
    """Voxels of a box, or the image of a slice.

    <plane> is vol (0_1_2) for a box, or xy, xz, yz (0_1, 0_2, 1_2) for a slice; <size> has a number for each of its
    axes; <offset> is x_y_z and may be negative.  Where nothing was written voxels are 0.

    A box comes as bytes, x fastest, then y, then z, numbers little-endian.  With <format> jpg it is one JPEG with the z
    planes one below the other.  A slice is an image: <format> png (default), jpg, jpg:<quality 1..100>, tif or bmp.
    16-bit voxels are 16-bit gray; the bytes of 32-bit and 64-bit ones are red, green, blue, alpha.

        GET /api/node/3f8c/grayscale/raw/0_1_2/64_64_64/0_0_128
        GET /api/node/3f8c/grayscale/raw/xz/512_256/0_0_100/jpg:90
    """
    instance = instance_of(view)
    box = plane.box(size, offset)
    check_bytes(box.count, np.dtype(instance.item).itemsize)
    if plane.is_flat:
        form = parse_format(format)
        return await slice_reply(await masked(view, query), plane, box, instance.pixels, form)
    volume = await masked(view, query)
    with throttled(view, query.throttle):
        if format.lower() in ("jpg", "jpeg"):
            return await tall_reply(volume, box, instance.pixels)
        nbytes = volume.nbytes(box)
        if nbytes <= SMALL:
            return Reply(bytes(await volume.packed(box)), OCTETS)
    return Reply(stream=throttled_stream(view, query.throttle, volume.stream(box)), length=nbytes)


async def get_isotropic(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = ""
) -> Reply:
    """As raw, but slices are resampled so that their pixels are square.

    <size> is that of the image.  Of the two axes the one with the longer voxels is stretched; each pixel is the mean of
    what it covers.

        GET /api/node/3f8c/grayscale/isotropic/xz/512_512/0_0_100
    """
    if not plane.is_flat:
        return await get_raw(view, plane, size, offset, query, format)
    instance = instance_of(view)
    form = parse_format(format)
    plane.box(size, offset)
    across, down = (instance.settings.VoxelSize[axis] for axis in plane.axes)
    wanted = (size[0], size[1])
    source = source_size(wanted, (across, down))
    if source == wanted:
        return await get_raw(view, plane, size, offset, query, format)
    box = plane.box(source, offset)
    volume = await masked(view, query)
    return await resampled_reply(volume, plane, box, wanted, instance.pixels, instance.sample, form)


async def post_raw(
    view: View, request: Request, plane: PlaneName, size: Size, offset: Vec3, query: WriteQuery
) -> Reply:
    """Write the voxels of a box: <plane> is vol (0_1_2), the body as GET raw sends it.

    Offset and size must be multiples of the block size (but with unaligned=true).  The extents grow by the box.  A
    large box is written in several steps; when the request breaks off, those that were done stay, and it can be sent
    again.

        POST /api/node/3f8c/grayscale/raw/0_1_2/512_512_64/0_0_128
    """
    instance = instance_of(view)
    instance.check_own()
    if plane.is_flat:
        raise BadRequest("plane: only boxes (vol, 0_1_2) can be written, not slices")
    box = plane.box(size, offset)
    check_bytes(box.count, np.dtype(instance.item).itemsize)
    if not query.unaligned:
        check_aligned(box, instance.codec.shape)
    volume = await masked(view, query)
    with throttled(view, query.throttle):
        await Ingest(volume, EXTENTS).box(box, request)
    return EMPTY


async def get_arb(
    view: View, tl: Point3, tr: Point3, bl: Point3, res: float, query: ArbQuery, format: str = ""
) -> Reply:
    """The image of a plane at any angle, interpolated between voxels (uint8blk and rgba8blk only).

    <tl>, <tr>, <bl> are its corners top left, top right and bottom left, x_y_z in the units of VoxelSize; <res> is the
    size of a pixel in the same units.  Where no block is, Background shows.  Formats are those of slices.

        GET /api/node/3f8c/grayscale/arb/100_200_300/900_200_300/100_800_500/8.0/jpg:80
    """
    instance = instance_of(view)
    form = parse_format(format)
    if instance.sample != "u1":
        raise BadRequest(f"arb: a {instance.typename} has no such images; uint8blk and rgba8blk have")
    plane = Tilted.through(tl, tr, bl, res, instance.settings.VoxelSize)
    with throttled(view, query.throttle):
        reply = await arb_reply(instance.volume(view), plane, np.dtype(instance.item).itemsize, form)
    if reply.stream is not None:
        reply.stream = throttled_stream(view, query.throttle, reply.stream)
    return reply


async def get_metadata(view: View) -> Reply:
    """The axes of the volume, with their resolution, size and offset, and its properties, as JSON."""
    instance = instance_of(view)
    box = await instance.extents(view)
    reply = Reply.json({"Axes": axes(instance.settings, box), "Properties": instance.extended(box)})
    reply.content_type = ND_DATA
    return reply


async def post_extents(view: View, request: Request) -> Reply:
    """Set the extents of this version: {"MinPoint": [x, y, z], "MaxPoint": [x, y, z]}, both inside.

    They are what info shows; reads are not cut by them.
    """
    instance_of(view).check_own()
    body: ExtentsBody = parse_json(await request.read(1 << 16), ExtentsBody)
    box = extents_box(body.MinPoint, body.MaxPoint)

    async def change(m: Mutation) -> None:
        m.put(EXTENTS.key(), pack_box(box))

    await view.edit("extents", change, locks=(EXTENTS.key(),))
    return EMPTY


async def post_resolution(view: View, request: Request) -> Reply:
    """Set the VoxelSize of the instance, for all versions at once: [x, y, z]."""
    instance = instance_of(view)
    instance.check_own()
    lengths = parse_json(await request.read(1 << 16))
    async with instance.repo.lock():
        settings = instance.settings.resized(lengths)
        await instance.server.repos.change_instance(instance, settings=msgspec.to_builtins(settings))
        instance.settings = settings
    return EMPTY


ROUTES = (
    get("raw/{plane}/{size}/{offset}/{format}", get_raw, query=RawQuery),
    post("raw/{plane}/{size}/{offset}", post_raw, query=WriteQuery),
    get("isotropic/{plane}/{size}/{offset}/{format}", get_isotropic, query=RawQuery),
    get("arb/{tl}/{tr}/{bl}/{res}/{format}", get_arb, query=ArbQuery),
    get("blocks/{block}/{span}", get_blocks),
    post("blocks/{block}/{span}", post_blocks, query=BlocksQuery),
    get("subvolblocks/{size}/{offset}", get_subvolblocks, query=StreamQuery),
    get("specificblocks", get_specificblocks, query=SpecificQuery),
    get("metadata", get_metadata),
    post("extents", post_extents),
    post("resolution", post_resolution),
    get("rawkey", get_rawkey, query=KeyQuery),
    *load_handlers.ROUTES,
)
