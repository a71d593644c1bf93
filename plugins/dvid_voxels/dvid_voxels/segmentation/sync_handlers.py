"""The endpoint that makes a label volume follow others, where blocks must be of one size."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import EMPTY, About, BadRequest, Flag, Reply, Request, View, post

from ..settings import VoxelSettings
from .asking import instance_of


class SyncQuery(msgspec.Struct, frozen=True):
    """Options of sync."""

    replace: Annotated[Flag, About("`true`: instead of those that are followed now")] = False


async def post_sync(view: View, request: Request, query: SyncQuery) -> Reply:
    """Follow other instances: {"sync": "<name>,<name>"}, added to those that are followed, or replacing them.

    They must have blocks of the same size. Set syncs before voxels are written: what was before is not looked at. An
    empty string with replace=true ends all syncs.

        POST /api/node/3f8c/bodies/sync     with the body  {"sync": "segmentation"}
    """
    instance = view.instance
    names = (await request.json_object()).get("sync")
    if not isinstance(names, str):
        raise BadRequest("sync: expected a string of instance names separated by commas")
    wanted = [name for name in names.split(",") if name]
    for name in wanted:
        source = instance.repo.instance(name)
        theirs, own = source.settings, instance.settings
        if isinstance(theirs, VoxelSettings) and isinstance(own, VoxelSettings) and theirs.block != own.block:
            raise BadRequest(
                f"sync: the blocks of {name!r} have {_xyz(theirs)} voxels, those of {instance.name!r} {_xyz(own)}"
            )
    await instance.server.sync(instance, wanted, replace=query.replace)
    await instance_of(view).synced(view)
    return EMPTY


def _xyz(settings: VoxelSettings) -> str:
    return " x ".join(map(str, settings.BlockSize))


ROUTES = (post("sync", post_sync, query=SyncQuery),)
