"""All endpoints of labelvol."""

from __future__ import annotations

from dvid_core import Reply, View, get, post
from dvid_voxels.segmentation import counter_handlers, relabel_handlers, sync_handlers
from dvid_voxels.segmentation.asking import instance_of

from . import repair_handlers, sparse_handlers


async def post_info(view: View) -> Reply:
    """The same as GET info; settings do not change."""
    return Reply.json(await instance_of(view).full_info(view))


ROUTES = (
    *sparse_handlers.ROUTES,
    *relabel_handlers.ROUTES,
    *repair_handlers.ROUTES,
    get("maxlabel", counter_handlers.get_maxlabel),
    get("nextlabel", counter_handlers.get_nextlabel),
    post("info", post_info, mutates=False),
    *sync_handlers.ROUTES,
)
