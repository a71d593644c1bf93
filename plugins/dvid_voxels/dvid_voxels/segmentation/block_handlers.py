"""The endpoints that send and take label blocks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from dvid_core import EMPTY, About, BadRequest, Flag, Reply, Request, Switch, Vec3, View, get, post, put

from ..paths import box_of, check_aligned, parse_blocks
from ..throttle import throttled, throttled_stream
from .asking import Scale, ThrottledQuery, instance_of
from .ingest import Ingest, Options
from .sending import frame_stream


class BlocksQuery(ThrottledQuery, frozen=True):
    """Options of GET blocks."""

    compression: Annotated[
        Literal["lz4", "gzip", "uncompressed", "blocks"],
        About("`blocks`: gzip of a label block; `lz4`, `gzip`, `uncompressed`: voxels, uint64 LE"),
    ] = "lz4"


class SpecificQuery(ThrottledQuery, frozen=True):
    """Options of specificblocks."""

    blocks: Annotated[str, About("block coordinates x,y,z,x,y,z,...")] = ""
    compression: Annotated[Literal["lz4", "gzip", "uncompressed", "blocks"], About("as of GET blocks")] = "blocks"


class PostQuery(msgspec.Struct, frozen=True):
    """Options of POST blocks."""

    compression: Annotated[Literal["", "blocks"], About("blocks are posted as gzip of label blocks")] = ""
    scale: Annotated[Scale, About("a scale above 0 is stored alone: no indices, max label, extents")] = 0
    downres: Annotated[Flag, About("`true`: lower scales are computed; for scale 0 only")] = False
    noindexing: Annotated[Flag, About("`true`: indices stay as they are; they are posted")] = False
    mutate: Annotated[Flag, About("`true`: blocks are replaced; the result is the same")] = False
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


class IngestQuery(msgspec.Struct, frozen=True):
    """Options of ingest-supervoxels."""

    scale: Annotated[Scale, About("the scale of the blocks")] = 0
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


async def get_blocks(view: View, size: Vec3, offset: Vec3, query: BlocksQuery) -> Reply:
    """The blocks of a box as a stream, in no order; those that were never written are left out.

    <size> and <offset> are in voxels of the scale, multiples of the block size. Each block is int32 x, y, z (block
    coordinates), int32 n, all little-endian, and n bytes. With compression=blocks these are a gzip member of a label
    block; else voxels, uint64 LE, x fastest, then y, then z: as they are, as gzip, or as an LZ4 block without a head.

        GET /api/node/3f8c/segmentation/blocks/512_512_64/0_0_128?compression=blocks&scale=1
    """
    volume = instance_of(view).volume(view, query.scale, supervoxels=query.supervoxels)
    box = box_of(size, offset)
    check_aligned(box, volume.size)
    stream = frame_stream(volume, volume.stored(box.blocks(volume.size)), query.compression)
    return Reply(stream=throttled_stream(view, query.throttle, stream))


async def get_specificblocks(view: View, query: SpecificQuery) -> Reply:
    """Blocks by their coordinates, as a stream like that of GET blocks; each comes once, however often it is named.

    GET /api/node/3f8c/segmentation/specificblocks?blocks=10,20,30,11,20,30&scale=0
    """
    volume = instance_of(view).volume(view, query.scale, supervoxels=query.supervoxels)
    names = parse_blocks(query.blocks)
    if not names:
        return Reply()
    stream = frame_stream(volume, volume.blocks.named(names), query.compression)
    return Reply(stream=throttled_stream(view, query.throttle, stream))


async def post_blocks(view: View, request: Request, query: PostQuery) -> Reply:
    """Write label blocks: a stream as GET blocks sends it with compression=blocks, of supervoxels.

    With scale 0 the indices of the bodies, max label and extents follow, and with downres=true the lower scales. The
    blocks are written some dozens at a time, each time with all that belongs to them; a request that breaks off can be
    sent again. Blocks that were there are replaced, and the indices are right afterwards.

        POST /api/node/3f8c/segmentation/blocks?downres=true
    """
    if query.downres and query.scale:
        raise BadRequest("downres: lower scales are computed from blocks of scale 0")
    options = Options(query.scale, query.downres, not query.noindexing, bare=query.scale > 0)
    with throttled(view, query.throttle):
        await Ingest(view, options).frames(request.chunks())
    return EMPTY


async def post_ingest(view: View, request: Request, query: IngestQuery) -> Reply:
    """Store label blocks and do nothing else: indices, mappings, max label and extents are posted too.

        POST /api/node/3f8c/segmentation/ingest-supervoxels?scale=2
    """  # fmt: skip
    with throttled(view, query.throttle):
        await Ingest(view, Options(query.scale, bare=True)).frames(request.chunks())
    return EMPTY


ROUTES = (
    get("blocks/{size}/{offset}", get_blocks, query=BlocksQuery),
    post("blocks", post_blocks, query=PostQuery),
    put("blocks", post_blocks, query=PostQuery),
    get("specificblocks", get_specificblocks, query=SpecificQuery),
    post("ingest-supervoxels", post_ingest, query=IngestQuery),
    put("ingest-supervoxels", post_ingest, query=IngestQuery),
)
