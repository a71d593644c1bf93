"""The endpoints of boxes and slices of labels."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np

from dvid_core import EMPTY, OCTETS, About, BadRequest, Flag, Reply, Request, Switch, Vec3, View, get, post, put

from .. import labels
from ..geometry import Box
from ..images import parse_format
from ..ingest import BodyReader
from ..paths import PlaneName, Size, check_aligned, check_bytes
from ..peers import RoiMask
from ..pipeline import pipelined
from ..resample import source_size
from ..spool import Spool
from ..throttle import throttled, throttled_stream
from .asking import ThrottledQuery, instance_of, mask_of
from .ingest import GROUP, Ingest, Options
from .packing import check_reach
from .pictures import slice_reply
from .receiving import Posted, posted, posted_lz4
from .volume import Array, LabelVolume

SMALL = 4 << 20
"""Bytes of voxels of a reply that is not streamed."""

PIECE = 1 << 20
"""Bytes of a reply that are sent at once."""

GOOGLE_BYTES = 512 << 20
"""Bytes of voxels of the largest box in Neuroglancer's format, which is made whole."""

TOGETHER = 160 << 20
"""Bytes of posted voxels that are held in memory; a larger layer goes through a file."""


class RawQuery(ThrottledQuery, frozen=True):
    """Options of raw, isotropic and pseudocolor."""

    roi: Annotated[str, About("name of an ROI: voxels of blocks outside read as 0; for scale 0 only")] = ""
    compression: Annotated[
        Literal["", "lz4", "gzip", "google", "googlegzip"],
        About("of boxes: `lz4`: an LZ4 block; `gzip`; `google`: Neuroglancer's compressed segmentation; `googlegzip`"),
    ] = ""


class WriteQuery(msgspec.Struct, frozen=True):
    """Options of POST raw."""

    roi: Annotated[str, About("name of an ROI: blocks outside are not written")] = ""
    compression: Annotated[Literal["", "lz4", "gzip"], About("`lz4`: the body is an LZ4 block; `gzip`")] = ""
    mutate: Annotated[Flag, About("`true`: voxels are replaced; the result is the same")] = False
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


async def _volume(view: View, query: RawQuery) -> LabelVolume:
    mask = await mask_of(view, query.roi, query.scale)
    return instance_of(view).volume(view, query.scale, supervoxels=query.supervoxels, mask=mask)


async def get_raw(view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = "") -> Reply:
    """Labels of a box, or the image of a slice.

    <plane> is 0_1_2 (vol) for a box, or xy, xz, yz (0_1, 0_2, 1_2) for a slice; <size> has a number for each of its
    axes; <offset> is x_y_z and may be negative. Both are in voxels of the scale. What was not written is 0.

    A box comes as uint64 LE, x fastest, then y, then z, in one of several compressions. A slice is an image: <format>
    png (default), jpg, jpg:<quality>, tif or bmp. Its pixels are 16-bit RGBA whose 8 bytes are the label's, the least
    significant first; only PNG and TIFF keep them.

        GET /api/node/3f8c/segmentation/raw/0_1_2/64_64_64/0_0_128?compression=lz4
        GET /api/node/3f8c/segmentation/raw/xz/512_256/0_0_100/png?scale=1
    """
    box = plane.box(size, offset)
    check_bytes(box.count, 8)
    if plane.is_flat:
        form = parse_format(format)
        with throttled(view, query.throttle):
            return await slice_reply(await _volume(view, query), plane, box, form)
    volume = await _volume(view, query)
    if query.compression.startswith("google"):
        return await _google_reply(volume, box, query)
    return await _box_reply(volume, box, query)


async def _box_reply(volume: LabelVolume, box: Box, query: RawQuery) -> Reply:
    view = volume.view
    small = box.count * 8 <= SMALL
    if query.compression == "lz4":
        if small:
            with throttled(view, query.throttle):
                return whole(await volume.lz4(box))
        return Reply(stream=throttled_stream(view, query.throttle, volume.lz4_stream(box)))
    if query.compression == "gzip":
        return Reply(stream=throttled_stream(view, query.throttle, _gzipped(view, volume.stream(box))))
    if small:
        with throttled(view, query.throttle):
            return whole((await volume.read(box)).reshape(-1).view(np.uint8).data)
    return Reply(stream=throttled_stream(view, query.throttle, volume.stream(box)), length=box.count * 8)


def whole(data: bytes | memoryview, headers: dict[str, str] | None = None) -> Reply:
    """A reply of octets at hand; a long one goes out in pieces."""
    if len(data) <= PIECE:
        return Reply(cast("bytes", data), OCTETS, headers=headers)
    return Reply(content_type=OCTETS, stream=_pieces(data), length=len(data), headers=headers)


async def _pieces(data: bytes | memoryview) -> AsyncIterator[bytes]:
    view = memoryview(data)
    for at in range(0, len(data), PIECE):
        yield cast("bytes", view[at : at + PIECE])


async def _gzipped(view: View, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    async for piece in pieces:
        data = await view.run(packer.compress, piece)
        if data:
            yield data
    yield packer.flush()


async def _google_reply(volume: LabelVolume, box: Box, query: RawQuery) -> Reply:
    if any(side % 8 for side in box.size):
        raise BadRequest("size: compressed segmentation needs sides that are multiples of 8")
    check_bytes(box.count, 8, GOOGLE_BYTES)
    zipped = query.compression == "googlegzip"
    with throttled(volume.view, query.throttle):
        data: bytes = await volume.made(_google, box, zipped)
    return whole(data, {"Content-Encoding": "gzip"} if zipped else None)


def _google(blocks: labels.Blocks, box: Box, zipped: bool) -> bytes:
    try:
        data = labels.google(blocks, box)
    except labels.BadBlock:
        raise
    except ValueError as err:
        raise BadRequest(str(err)) from None
    return labels.gzipped(data) if zipped else data


async def get_isotropic(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = ""
) -> Reply:
    """As raw, but slices are resampled so that their pixels are square.

    <size> is that of the image. Of the two axes the one with the longer voxels is stretched; each pixel is the nearest
    voxel.

        GET /api/node/3f8c/segmentation/isotropic/xz/512_512/0_0_100
    """
    if not plane.is_flat:
        return await get_raw(view, plane, size, offset, query, format)
    form = parse_format(format)
    plane.box(size, offset)
    across, down = (instance_of(view).settings.VoxelSize[axis] for axis in plane.axes)
    wanted = (size[0], size[1])
    box = plane.box(source_size(wanted, (across, down)), offset)
    check_bytes(box.count, 8)
    with throttled(view, query.throttle):
        return await slice_reply(await _volume(view, query), plane, box, form, size=wanted)


async def get_pseudocolor(
    view: View, plane: PlaneName, size: Size, offset: Vec3, query: RawQuery, format: str = ""
) -> Reply:
    """The image of a slice of bodies, each in a colour of its own (8-bit RGB).

        GET /api/node/3f8c/segmentation/pseudocolor/xy/512_512/0_0_100
    """  # fmt: skip
    if not plane.is_flat:
        raise BadRequest("plane: colours are for slices, xy, xz or yz")
    box = plane.box(size, offset)
    check_bytes(box.count, 8)
    form = parse_format(format)
    mask = await mask_of(view, query.roi, query.scale)
    volume = instance_of(view).volume(view, query.scale, mask=mask)
    with throttled(view, query.throttle):
        return await slice_reply(volume, plane, box, form, colour=True)


async def post_raw(
    view: View, request: Request, plane: PlaneName, size: Size, offset: Vec3, query: WriteQuery
) -> Reply:
    """Write the supervoxels of a box: <plane> is 0_1_2, the body as GET raw sends it.

    Offset and size are multiples of the block size. Indices, max label, extents and all lower scales are computed
    before the reply. What was there is replaced. A large box is written in several steps; when the request breaks off,
    those that were done stay, and it can be sent again.

        POST /api/node/3f8c/segmentation/raw/0_1_2/512_512_64/0_0_128?compression=lz4
    """
    instance = instance_of(view)
    block = instance.settings.block
    if plane.is_flat:
        raise BadRequest("plane: only boxes (0_1_2, vol) can be written, not slices")
    box = plane.box(size, offset)
    check_bytes(box.count, 8)
    check_aligned(box, block)
    blocks = box.blocks(block)
    check_reach([blocks.low, cast("Any", tuple(h - 1 for h in blocks.high))])
    mask = await mask_of(view, query.roi, 0)
    erasing = query.mutate and blocks.count <= GROUP
    ingest = Ingest(view, Options(downres=True, erasing=erasing), box if query.roi else None)
    with throttled(view, query.throttle):
        try:
            if query.compression == "lz4":
                voxels = (await posted_lz4(view, request, box.count * 8)).view("<u8").reshape(box.size)
                for layer in box.layers(block):
                    await _write_layer(ingest, voxels, box, layer, mask)
            else:
                await write_stream(ingest, posted(view, request, query.compression, box.count * 8), box, mask)
            await ingest.finish()
        except BaseException:
            await ingest.abandon()
            raise
    return EMPTY


async def write_stream(ingest: Ingest, source: Posted, box: Box, mask: RoiMask | None) -> None:
    """Write voxels layer by layer as they come."""
    reader = BodyReader(cast("Any", source), box.count * 8)
    layers = list(box.layers(ingest.size)) if reader.length is not None else [box]
    async for spool in pipelined(_layer(ingest.view, part, reader) for part in layers):
        with spool:
            if spool.box == layers[-1]:
                await reader.end()
            for layer in spool.box.layers(ingest.size):
                await _write_layer(ingest, spool, spool.box, layer, mask)
            await ingest.finish()


async def _layer(view: View, box: Box, reader: BodyReader) -> Spool:
    spool = Spool(box, "<u8", in_memory=box.count * 8 <= TOGETHER)
    try:
        return await reader.fill(spool, cast("Any", _Runs(view)))
    except BaseException:
        spool.close()
        raise


class _Runs(msgspec.Struct, frozen=True):
    """What `BodyReader.fill` needs of a volume."""

    view: View


async def _write_layer(ingest: Ingest, source: Spool | Array, box: Box, layer: Box, mask: RoiMask | None) -> None:
    """Write one layer of blocks of `box`, whose voxels are `source`."""
    block = ingest.size
    for tile in layer.tiles(block, GROUP * block[0] * block[1] * block[2]):
        names = list(tile.blocks(block).points())
        wanted = None
        if mask is not None:
            inside = (await mask.inside(tile.blocks(block))).reshape(-1)
            wanted = frozenset(at for at, kept in zip(names, inside) if kept)
        if not isinstance(source, Spool):
            voxels = source[tile.slices(box)]
        else:
            voxels = source.get(tile) if source.in_memory else await ingest.view.run(source.get, tile)
        await ingest.submit(names, ingest.voxels(voxels, tile, wanted))


ROUTES = (
    get("raw/{plane}/{size}/{offset}/{format}", get_raw, query=RawQuery),
    post("raw/{plane}/{size}/{offset}", post_raw, query=WriteQuery),
    put("raw/{plane}/{size}/{offset}", post_raw, query=WriteQuery),
    get("isotropic/{plane}/{size}/{offset}/{format}", get_isotropic, query=RawQuery),
    get("pseudocolor/{plane}/{size}/{offset}/{format}", get_pseudocolor, query=RawQuery),
)
