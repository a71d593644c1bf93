"""The endpoints that tell what a body consists of, and who changed it last."""

from __future__ import annotations

from dvid_core import Reply, Uint64, View, get

from .asking import ABSENT
from .past import PastQuery, body_of


async def get_supervoxels(view: View, label: Uint64, query: PastQuery) -> Reply:
    """The supervoxels of a body as a JSON list; 404 when there is no such body."""
    body = await body_of(view, label, query.mutid)
    return ABSENT if body is None else Reply.json(body.sizes()[0].tolist())


async def get_supervoxel_sizes(view: View, label: Uint64, query: PastQuery) -> Reply:
    """The supervoxels of a body and their voxels: {"supervoxels": [...], "sizes": [...]}; 404 when there is none."""
    body = await body_of(view, label, query.mutid)
    if body is None:
        return ABSENT
    names, voxels = body.sizes()
    return Reply.json({"supervoxels": names.tolist(), "sizes": voxels.tolist()})


async def get_lastmod(view: View, label: Uint64, query: PastQuery) -> Reply:
    """Who changed a body last: {"mutation id", "last mod user", "last mod app", "last mod time"}; 404 when absent."""
    body = await body_of(view, label, query.mutid)
    if body is None:
        return ABSENT
    touch = body.touch
    return Reply.json({
        "mutation id": touch.mutation_id, "last mod user": touch.user, "last mod app": touch.app,
        "last mod time": touch.time,
    })  # fmt: skip


ROUTES = (
    get("supervoxels/{label}", get_supervoxels, query=PastQuery),
    get("supervoxel-sizes/{label}", get_supervoxel_sizes, query=PastQuery),
    get("lastmod/{label}", get_lastmod, query=PastQuery),
)
