"""The endpoints that take whole files of labels, and keep note of what `dvid load` sends."""

from __future__ import annotations

from typing import Any, cast

from dvid_core import Reply, Request, Vec3, View, post

from ..geometry import Box
from ..load.body import FileBody
from ..load.note_handlers import note_routes
from ..paths import check_aligned
from .asking import instance_of
from .ingest import Ingest, Options
from .keys import LOAD
from .packing import check_reach
from .receiving import Posted
from .voxel_handlers import write_stream

KIND = "uint64"


async def post_load(view: View, request: Request, offset: Vec3 = (0, 0, 0)) -> Reply:
    """Write a stack of sections of labels: the body is a TIFF, each image a section.

    <offset> is where its first voxel goes, x_y_z (0_0_0 without it); offset and size are multiples of the block size.
    Pixels are unsigned integers of up to 64 bits.  Indices, max label, extents and lower scales follow, as with POST
    raw.  The reply says what was written.  A large stack is written in several steps; when the request breaks off, it
    can be sent again.  The command `dvid load` takes more kinds of files, of any size and at any place, and goes on
    where it stopped.

        POST /api/node/3f8c/segmentation/load/0_0_1024
        {"MinPoint": [0, 0, 1024], "MaxPoint": [1023, 1023, 1087]}
    """
    block = instance_of(view).settings.block
    body = await FileBody.open(view, request, KIND)
    try:
        box: Box = body.box(offset)
        check_aligned(box, block)
        blocks = box.blocks(block)
        check_reach([blocks.low, cast("Any", tuple(h - 1 for h in blocks.high))])
        ingest = Ingest(view, Options(downres=True))
        try:
            await write_stream(ingest, Posted(body.length, body.chunks()), box, None)
            await ingest.finish()
        except BaseException:
            await ingest.abandon()
            raise
    finally:
        await view.run(body.close)
    return Reply.json({"MinPoint": box.low[::-1], "MaxPoint": [n - 1 for n in box.high[::-1]]})


ROUTES = (post("load/{offset}", post_load), *note_routes(LOAD))
