"""A label datatype whose bodies are simply posted: what `LabelsAt` says of bodies, per version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import EMPTY, U64, Instance, KeyClass, Mutation, Reply, Request, Uint64, View, hookimpl, post
from dvid_voxels.label_events import BodySplit, LabelsAt

P = TypeVar("P")

BODY = KeyClass(1, "supervoxels of a body", U64)


async def post_body(view: View, request: Request, label: Uint64) -> Reply:
    """Set the supervoxels of a body; tells that it was split."""
    ids = np.array(await request.json(list[int]), np.uint64)

    async def change(m: Mutation) -> None:
        m.put(BODY.key(label), ids.tobytes())
        m.record({"Action": "body"}, events=[BodySplit(1, label, label + 1)])

    await view.edit("body", change)
    return EMPTY


class Segments(Instance):
    """Bodies."""

    typename = "segments"
    keys = (BODY,)
    routes = (post("body/{label}", post_body),)
    emits = (BodySplit,)

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", Seen(view)) if protocol is LabelsAt else None


class Seen:
    def __init__(self, view: View) -> None:
        self._view = view

    async def supervoxels_of(self, body: int) -> NDArray[np.uint64] | None:
        data = await self._view.get(BODY.key(body))
        return None if data is None else np.frombuffer(data, np.uint64)


class Deaf(Instance):
    """A datatype without labels."""

    typename = "deaf"
    emits = (BodySplit,)


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Segments, Deaf]
