"""The endpoints that take whole files, and keep note of what `dvid load` sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dvid_core import Reply, Request, Vec3, View, post
from dvid_voxels.ingest import Ingest
from dvid_voxels.load.body import FileBody
from dvid_voxels.load.note_handlers import note_routes

from .keys import EXTENTS, LOAD

if TYPE_CHECKING:
    from .imageblk import ImageBlk


def instance_of(view: View) -> ImageBlk:
    """The instance, as the type it is."""
    return cast("ImageBlk", view.instance)


async def post_load(view: View, request: Request, offset: Vec3 = (0, 0, 0)) -> Reply:
    """Write a stack of sections: the body is a TIFF, each image a section, or one PNG or JPEG.

    <offset> is where its first voxel goes, x_y_z (0_0_0 without it); no alignment is needed.  Pixels must be of the
    instance's type, or fit into it without loss; colors go into an rgba8blk.  All images of a TIFF have one size, at
    most 64 megapixels.  The extents grow by the box.  The reply says what was written.  A large stack is written in
    several steps; when the request breaks off, it can be sent again.  The command `dvid load` takes more kinds of
    files, of any size, and goes on where it stopped.

        POST /api/node/3f8c/grayscale/load/0_0_1000
        {"MinPoint": [0, 0, 1000], "MaxPoint": [1023, 1023, 1019]}
    """
    instance = instance_of(view)
    instance.check_own()
    body = await FileBody.open(view, request, instance.kind)
    try:
        box = body.box(offset)
        await Ingest(instance.volume(view), EXTENTS).box(box, Request("POST", [], body=body))
    finally:
        await view.run(body.close)
    return Reply.json({"MinPoint": box.low[::-1], "MaxPoint": [n - 1 for n in box.high[::-1]]})


ROUTES = (
    post("load/{offset}", post_load),
    *note_routes(LOAD, lambda view: instance_of(view).check_own()),
)
