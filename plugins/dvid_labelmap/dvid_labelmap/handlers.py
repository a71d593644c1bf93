"""All endpoints of labelmap."""

from __future__ import annotations

from dvid_voxels.segmentation import (
    block_handlers,
    conflict_handlers,
    counter_handlers,
    load_handlers,
    nanovdb_handlers,
    point_handlers,
    proximity_handlers,
    setting_handlers,
    sparse_handlers,
    voxel_handlers,
)

from . import (
    body_handlers,
    convert_handlers,
    edit_handlers,
    history_handlers,
    index_handlers,
    list_handlers,
    mapping_handlers,
    size_handlers,
)

ROUTES = (
    *voxel_handlers.ROUTES,
    *block_handlers.ROUTES,
    *point_handlers.ROUTES,
    *mapping_handlers.ROUTES,
    *size_handlers.ROUTES,
    *body_handlers.ROUTES,
    *list_handlers.ROUTES,
    *index_handlers.ROUTES,
    *sparse_handlers.ROUTES,
    *nanovdb_handlers.ROUTES,
    *proximity_handlers.ROUTES,
    *edit_handlers.ROUTES,
    *history_handlers.ROUTES,
    *counter_handlers.ROUTES,
    *load_handlers.ROUTES,
    *conflict_handlers.ROUTES,
    *setting_handlers.ROUTES,
    *convert_handlers.ROUTES,
)
