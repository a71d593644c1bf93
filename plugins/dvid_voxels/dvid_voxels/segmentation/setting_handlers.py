"""The endpoints of settings, extents and statistics."""

from __future__ import annotations

from typing import Any

import msgspec

from dvid_core import EMPTY, BadRequest, Mutation, Reply, Request, View, get, parse_json, post

from ..extents import ExtentsBody, axes, pack_box
from ..settings import extents_box
from .asking import instance_of
from .keys import EXTENTS
from .settings import CHANGEABLE, NAMES, LabelSettings, check_strings, checked

ND_DATA = "application/vnd.dvid-nd-data+json"

FIXED = ("blocksize", "indexedlabels")
"""Settings that cannot change once there are data."""


async def get_metadata(view: View) -> Reply:
    """The axes of the volume, with their resolution, size and offset, and its properties, as JSON."""
    instance = instance_of(view)
    box = await instance.extents(view)
    reply = Reply.json({"Axes": axes(instance.settings, box), "Properties": instance.properties(box)})
    reply.content_type = ND_DATA
    return reply


async def post_info(view: View, request: Request) -> Reply:
    """Change settings, for all versions: a JSON object of strings, with the names that creation takes.

    VoxelSize, VoxelUnits, MaxDownresLevel and Background can be changed; MinPoint and MaxPoint, the extents to show,
    until something is written; BlockSize and IndexedLabels too. Other names are ignored.

        POST /api/node/3f8c/segmentation/info     with the body  {"VoxelSize": "4,4,40"}
    """
    instance = instance_of(view)
    given = await request.json_object()
    check_strings(given)
    wanted = {k.lower(): v for k, v in given.items() if k.lower() in NAMES}
    allowed = (
        (*CHANGEABLE, "minpoint", "maxpoint") if instance.has_data() else (*CHANGEABLE, "minpoint", "maxpoint", *FIXED)
    )
    async with instance.repo.lock():
        before: dict[str, Any] = {k.lower(): v for k, v in msgspec.to_builtins(instance.settings).items()}
        fresh = type(instance).read_settings({**before, **wanted})
        for name in FIXED:
            if name in wanted and name not in allowed and _value(fresh, name) != _value(instance.settings, name):
                raise BadRequest(f"{name}: it cannot change once something was written")
        changes = {f: getattr(fresh, f) for f in LabelSettings.__struct_fields__ if f.lower() in allowed}
        settings = checked(msgspec.structs.replace(instance.settings, **changes))
        await instance.server.repos.change_instance(instance, settings=msgspec.to_builtins(settings))
        instance.settings = settings
    return Reply.text(f"settings of {instance.name} changed: {', '.join(sorted(wanted)) or 'none'}")


def _value(settings: LabelSettings, name: str) -> Any:
    return next(getattr(settings, f) for f in LabelSettings.__struct_fields__ if f.lower() == name)


async def post_extents(view: View, request: Request) -> Reply:
    """Set the extents of this version: {"MinPoint": [x, y, z], "MaxPoint": [x, y, z]}, both inside.

    They are what info shows; reads are not cut by them.
    """
    body: ExtentsBody = parse_json(await request.read(1 << 16), ExtentsBody)
    box = extents_box(body.MinPoint, body.MaxPoint)

    async def change(m: Mutation) -> None:
        m.put(EXTENTS.key(), pack_box(box))

    await view.edit("extents", change, locks=((view.version, 1),))
    return EMPTY


async def post_resolution(view: View, request: Request) -> Reply:
    """Set the VoxelSize of the instance, for all versions at once: [x, y, z]."""
    instance = instance_of(view)
    lengths = parse_json(await request.read(1 << 16))
    async with instance.repo.lock():
        settings = instance.settings.resized(lengths)
        await instance.server.repos.change_instance(instance, settings=msgspec.to_builtins(settings))
        instance.settings = settings
    return EMPTY


ROUTES = (
    get("metadata", get_metadata),
    post("info", post_info),
    post("extents", post_extents),
    post("resolution", post_resolution),
)
