"""All endpoints of labelmap."""

from __future__ import annotations

from dvid_voxels.segmentation import (
    block_handlers,
    counter_handlers,
    point_handlers,
    setting_handlers,
    voxel_handlers,
)

from . import index_handlers, mapping_handlers

ROUTES = (
    *voxel_handlers.ROUTES,
    *block_handlers.ROUTES,
    *point_handlers.ROUTES,
    *mapping_handlers.ROUTES,
    *index_handlers.ROUTES,
    *counter_handlers.ROUTES,
    *setting_handlers.ROUTES,
)
