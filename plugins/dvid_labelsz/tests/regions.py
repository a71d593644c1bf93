"""A datatype that offers `Region`: spans as they were posted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar, cast

import numpy as np

from dvid_core import EMPTY, Instance, KeyClass, Mutation, Reply, Request, View, hookimpl, parse_json, post
from dvid_voxels.regions import Region
from dvid_voxels.spans import Spans

P = TypeVar("P")

SPANS = KeyClass(1, "spans")


async def post_set(view: View, request: Request) -> Reply:
    """Set the spans."""
    body = await request.read()

    async def change(m: Mutation) -> None:
        m.put(SPANS.key(), body)

    await view.edit("set", change)
    return EMPTY


class Seen:
    block = (4, 4, 4)

    def __init__(self, view: View) -> None:
        self._view = view

    async def spans(self, first_z: int = 0, last_z: int = 0) -> AsyncIterator[Spans]:
        data = await self._view.get(SPANS.key())
        if data is not None:
            yield np.array(parse_json(data), np.int32)


class Regions(Instance):
    """A region."""

    typename = "region"
    keys = (SPANS,)
    routes = (post("set", post_set),)

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", Seen(view)) if protocol is Region else None


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Regions]
