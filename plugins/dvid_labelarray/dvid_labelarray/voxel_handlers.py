"""The endpoints of voxels and blocks that differ from those of other label volumes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from dvid_core import About, Flag, Reply, Request, Switch, Vec3, View, get, post, put
from dvid_voxels.paths import PlaneName, Size
from dvid_voxels.segmentation import block_handlers, point_handlers, voxel_handlers
from dvid_voxels.segmentation.asking import LabelQuery, Scale, plain


class PostBlocksQuery(msgspec.Struct, frozen=True):
    """Options of POST blocks."""

    compression: Annotated[Literal["", "blocks"], About("blocks are posted as gzip of label blocks")] = ""
    scale: Annotated[Scale, About("a scale above 0 is stored alone: no indices, max label, extents")] = 0
    downres: Annotated[Flag, About("`true`: lower scales are computed; for scale 0 only")] = False
    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


async def post_raw(
    view: View, request: Request, plane: PlaneName, size: Size, offset: Vec3, query: voxel_handlers.WriteQuery
) -> Reply:
    """Write the labels of a box: <plane> is 0_1_2, the body as GET raw sends it.

    Offset and size are multiples of the block size. Indices, max label, extents and all lower scales are computed
    before the reply. What was there is replaced. A large box is written in several steps; when the request breaks off,
    those that were done stay, and it can be sent again.

        POST /api/node/3f8c/bodies/raw/0_1_2/512_512_64/0_0_128?compression=lz4
    """
    return await voxel_handlers.post_raw(view, request, plane, size, offset, query)


async def post_blocks(view: View, request: Request, query: PostBlocksQuery) -> Reply:
    """Write label blocks: a stream as GET blocks sends it with compression=blocks.

    With scale 0 the indices of the labels, max label and extents follow, and with downres=true the lower scales. The
    blocks are written some dozens at a time, each time with all that belongs to them; a request that breaks off can be
    sent again. Blocks that were there are replaced, and the indices are right afterwards.

        POST /api/node/3f8c/bodies/blocks?downres=true
    """
    options = block_handlers.PostQuery(
        compression=query.compression, scale=query.scale, downres=query.downres, throttle=query.throttle
    )
    return await block_handlers.post_blocks(view, request, options)


RAW = plain(voxel_handlers.RawQuery)

ROUTES = (
    get("raw/{plane}/{size}/{offset}/{format}", voxel_handlers.get_raw, query=RAW),
    post("raw/{plane}/{size}/{offset}", post_raw, query=voxel_handlers.WriteQuery),
    put("raw/{plane}/{size}/{offset}", post_raw, query=voxel_handlers.WriteQuery),
    get("isotropic/{plane}/{size}/{offset}/{format}", voxel_handlers.get_isotropic, query=RAW),
    get("pseudocolor/{plane}/{size}/{offset}/{format}", voxel_handlers.get_pseudocolor, query=RAW),
    get("blocks/{size}/{offset}", block_handlers.get_blocks, query=plain(block_handlers.BlocksQuery)),
    post("blocks", post_blocks, query=PostBlocksQuery),
    put("blocks", post_blocks, query=PostBlocksQuery),
    get("specificblocks", block_handlers.get_specificblocks, query=plain(block_handlers.SpecificQuery)),
    get("label/{point}", point_handlers.get_label, query=plain(LabelQuery)),
    get("labels", point_handlers.get_labels, query=plain(point_handlers.PointsQuery)),
)
