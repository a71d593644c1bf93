"""All endpoints of labelarray; most are those of all label volumes, without what is about supervoxels."""

from __future__ import annotations

from dvid_core import Reply, View, get, post
from dvid_voxels.segmentation import counter_handlers, load_handlers, relabel_handlers, setting_handlers
from dvid_voxels.segmentation.asking import instance_of

from . import sparse_handlers, voxel_handlers


async def post_info(view: View) -> Reply:
    """The same as GET info; settings do not change, but for VoxelSize: see POST resolution."""
    return Reply.json(await instance_of(view).full_info(view))


ROUTES = (
    *voxel_handlers.ROUTES,
    *sparse_handlers.ROUTES,
    *relabel_handlers.ROUTES,
    get("maxlabel", counter_handlers.get_maxlabel),
    get("nextlabel", counter_handlers.get_nextlabel),
    get("metadata", setting_handlers.get_metadata),
    post("resolution", setting_handlers.post_resolution),
    post("info", post_info, mutates=False),
    *load_handlers.ROUTES,
)
