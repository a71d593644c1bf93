"""An annotation datatype as labelsz sees one: elements with a label and a kind, per version, that tell what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import EMPTY, ZYX, Disputed, Instance, KeyClass, Mutation, Reply, Request, View, get, hookimpl, post
from dvid_voxels.annotation_events import FILED, KINDS, ElementsFiled, FiledElements, pack_changes

P = TypeVar("P")

POINT = KeyClass(1, "element", ZYX)

PAGE = 3
"""Elements of a page."""


async def post_put(view: View, request: Request) -> Reply:
    """Put elements [x, y, z, label, kind], each in place of what is there; label 0 takes it off all labels."""
    wanted = await request.json(list[tuple[int, int, int, int, str]])

    async def change(m: Mutation) -> None:
        rows: list[tuple[int, tuple[int, int, int], int, int]] = []
        for x, y, z, label, kind in wanted:
            place = (z, y, x)
            old = await m.get(POINT.key(place))
            if old is not None:
                rows.append((int.from_bytes(old[:8], "little"), place, old[8], -1))
            if label:
                number = KINDS.index(kind)
                rows.append((label, place, number, 1))
                m.put(POINT.key(place), label.to_bytes(8, "little") + bytes([number]))
            elif old is not None:
                m.delete(POINT.key(place))
        events = [ElementsFiled(pack_changes(np.array([row], FILED))) for row in rows[:1]]
        events += [ElementsFiled(pack_changes(np.array(rows[1:], FILED)))] * (len(rows) > 1)
        m.record({"Action": "put"}, events=events)

    await view.edit("put", change)
    return EMPTY


async def get_all(view: View) -> Reply:
    """All elements: [[label, kind], ...]."""
    out = []
    async for page in view.scan(*POINT.all()):
        for _, found in page:
            assert not isinstance(found, Disputed)
            data = await found.read()
            out.append((int.from_bytes(data[:8], "little"), KINDS[data[8]]))
    return Reply.json(out)


class Points(Instance):
    """Elements."""

    typename = "points"
    keys = (POINT,)
    routes = (post("put", post_put), get("all", get_all))
    emits = (ElementsFiled,)

    gate: ClassVar[asyncio.Event | None] = None
    """What pages wait for, behind the first one."""

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", Filed(view)) if protocol is FiledElements else None


class Filed:
    def __init__(self, view: View) -> None:
        self._view = view

    async def pages(self) -> AsyncIterator[NDArray[Any]]:
        # All at once: one moment.
        rows = []
        async for page in self._view.scan(*POINT.all()):
            for tkey, found in page:
                assert not isinstance(found, Disputed)
                data = await found.read()
                rows.append((int.from_bytes(data[:8], "little"), POINT.unpack(tkey)[0], data[8], 1))
        for at in range(0, len(rows), PAGE):
            yield np.array(rows[at : at + PAGE], FILED)
            if Points.gate is not None:
                await Points.gate.wait()


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Points]
