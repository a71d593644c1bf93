"""The endpoints that send and take blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec

from dvid_core import EMPTY, About, BadRequest, Flag, Reply, Request, Switch, Vec3, View
from dvid_voxels.codecs import Tag
from dvid_voxels.frames import frame_reply, row_stream
from dvid_voxels.geometry import Triple
from dvid_voxels.grids import GridVolume
from dvid_voxels.ingest import Ingest
from dvid_voxels.paths import box_of, check_aligned, check_bytes, parse_blocks
from dvid_voxels.throttle import throttled, throttled_stream
from dvid_voxels.volume import Volume

if TYPE_CHECKING:
    from .imageblk import ImageBlk


class BlocksQuery(msgspec.Struct, frozen=True):
    """Options of POST blocks."""

    mutate: Annotated[Flag, About("`true`: written blocks are being replaced; the result is the same")] = False


class StreamQuery(msgspec.Struct, frozen=True):
    """Options of subvolblocks."""

    compression: Annotated[
        Literal["", "uncompressed", "jpeg"],
        About("`uncompressed`: voxels; `jpeg`: only of an instance that stores JPEG; else blocks are sent as stored"),
    ] = ""
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


class SpecificQuery(msgspec.Struct, frozen=True):
    """Options of specificblocks."""

    blocks: Annotated[str, About("block coordinates x,y,z,x,y,z,...")] = ""
    compression: Annotated[Literal["", "uncompressed", "jpeg"], About("as of subvolblocks")] = ""
    prefetch: Annotated[Switch, About("`on` or `true`: answer at once with nothing")] = False


class KeyQuery(msgspec.Struct, frozen=True):
    """Options of rawkey."""

    x: Annotated[int, About("block coordinate along x")] = 0
    y: Annotated[int, About("block coordinate along y")] = 0
    z: Annotated[int, About("block coordinate along z")] = 0


def instance_of(view: View) -> ImageBlk:
    """The instance, as the type it is."""
    return cast("ImageBlk", view.instance)


async def get_blocks(view: View, block: Vec3, span: int) -> Reply:
    """Blocks in a row along x, one after another without gaps: <span> blocks from block coordinate <block>.

    Each has its voxels x fastest, then y, then z.  Blocks that were never written are filled with Background.

        GET /api/node/3f8c/grayscale/blocks/10_20_30/8
    """
    volume = instance_of(view).volume(view)
    first = _row(volume, block, span)
    return Reply(stream=row_stream(volume, first, span), length=span * volume.codec.nbytes)


async def post_blocks(view: View, request: Request, block: Vec3, span: int, query: BlocksQuery) -> Reply:
    """Write blocks in a row along x; the body is laid out as GET blocks sends it.

    The extents stay as they are.  What follows the last block is ignored.

        POST /api/node/3f8c/grayscale/blocks/10_20_30/8
    """
    instance_of(view).check_own()
    volume = instance_of(view).volume(view)
    await Ingest(volume).blocks(_row(volume, block, span), span, request)
    return EMPTY


def _row(volume: Volume, block: tuple[int, int, int], span: int) -> Triple:
    """The first block, z, y, x."""
    if span < 0:
        raise BadRequest(f"span: expected 0 or more, got {span}")
    check_bytes(span, volume.codec.nbytes)
    return box_of((max(1, span), 1, 1), block).low


async def get_subvolblocks(view: View, size: Vec3, offset: Vec3, query: StreamQuery) -> Reply:
    """The blocks of a box as a stream, those that were never written left out.

    <size> and <offset> are in voxels, multiples of the block size.  Each block is int32 x, y, z (block coordinates),
    int32 n, all little-endian, and n bytes.  Without compression these are the block as stored: of lz4 (the default)
    uint32 size and an LZ4 block; of gzip a gzip member; of jpeg a JPEG with the z planes one below the other.

        GET /api/node/3f8c/grayscale/subvolblocks/64_64_64/0_0_128?compression=uncompressed
    """
    volume = instance_of(view).volume(view)
    box = box_of(size, offset)
    check_aligned(box, volume.block)
    uncompressed = _is_uncompressed(volume, query.compression)
    with throttled(view, query.throttle):
        reply = await frame_reply(volume, box.blocks(volume.block), uncompressed)
    if reply.stream is not None:
        reply.stream = throttled_stream(view, query.throttle, reply.stream)
    return reply


async def get_specificblocks(view: View, query: SpecificQuery) -> Reply:
    """Blocks by their coordinates, as a stream like that of subvolblocks; those that were never written are left out.

    GET /api/node/3f8c/grayscale/specificblocks?blocks=10,20,30,11,20,30
    """
    volume = instance_of(view).volume(view)
    names = parse_blocks(query.blocks)
    uncompressed = _is_uncompressed(volume, query.compression)
    if query.prefetch or not names:
        return Reply()
    return await frame_reply(volume, names, uncompressed)


def _is_uncompressed(volume: Volume, compression: str) -> bool:
    """Whether blocks are sent as voxels, not as they are stored."""
    if compression == "jpeg" and volume.codec.tag is not Tag.JPEG and not isinstance(volume, GridVolume):
        raise BadRequest("compression: the blocks of this instance are not stored as JPEG")
    return compression == "uncompressed"


async def get_rawkey(view: View, query: KeyQuery) -> Reply:
    """The key under which the store has a block, in hexadecimal: {"Key": "..."}; private to this server."""
    instance_of(view).check_own()
    box_of((1, 1, 1), (query.x, query.y, query.z))
    tkey = instance_of(view).volume(view).key_of((query.z, query.y, query.x))
    return Reply.json({"Key": (view.instance.prefix + tkey).hex()})
