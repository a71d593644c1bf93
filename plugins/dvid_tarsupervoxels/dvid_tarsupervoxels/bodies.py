"""The supervoxels of a body, as the synced label instance has them at the version of a request."""

from __future__ import annotations

from dvid_core import BadRequest, Request, View
from dvid_voxels.label_events import LabelsAt

from .files import Labels


async def supervoxels_of(view: View, request: Request, label: int) -> Labels:
    """The supervoxels of a body, ascending.  Raises `BadRequest` when there is none, or no label instance is synced."""
    instance = view.instance
    # Of an instance without versions, `view` is at the root, whatever version was asked for.
    _, node = instance.server.repos.find(request.uuid)
    for source in map(instance.repo.by_id, instance.record.syncs):
        if source is None:
            continue
        try:
            labels = await view.at(node).peer(source.name, LabelsAt)
        except BadRequest:
            continue
        found = await labels.supervoxels_of(label)
        if found is None or not len(found):
            raise BadRequest(f"label {label}: {source.name} has no such body at this version")
        return found
    raise BadRequest(f"{instance.name} is not synced to a labelmap, which knows the supervoxels of bodies")
