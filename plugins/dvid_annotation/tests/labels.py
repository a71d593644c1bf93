"""A label datatype that is as small as can be: supervoxels in slabs, and their bodies, by the events of real ones.

Supervoxel s is at 10 s <= x < 10 (s + 1), from 1 up, unless a split or a write put another one there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import TEXT, Instance, KeyClass, Mutation, Reply, Request, View, hookimpl, parse_json, post
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import (
    LABEL_EVENTS,
    BodiesMerged,
    BodyCleaved,
    BodyRenumbered,
    LabelsAt,
    SupervoxelsMapped,
    SupervoxelSplit,
    VoxelsWritten,
    pack_labels,
)

P = TypeVar("P")

STATE = KeyClass(1, "state", TEXT)
FIRST_NEW = 1000
BLOCK = (32, 32, 32)
WIDTH = 10
SLABS = 13


class Tables:
    """Supervoxel -> body where that is another number, and slab -> supervoxel where that is another number."""

    def __init__(self, raw: bytes | None) -> None:
        data = parse_json(raw) if raw else {}
        self.bodies: dict[int, int] = {int(k): v for k, v in data.get("bodies", {}).items()}
        self.slabs: dict[int, int] = {int(k): v for k, v in data.get("slabs", {}).items()}
        self.next: int = data.get("next", FIRST_NEW)

    def packed(self) -> bytes:
        import msgspec

        return msgspec.json.encode({"bodies": self.bodies, "slabs": self.slabs, "next": self.next})

    def body(self, supervoxel: int) -> int:
        return self.bodies.get(supervoxel, supervoxel)

    def supervoxel(self, x: int) -> int:
        slab = x // WIDTH
        return self.slabs.get(slab, slab if 0 < slab < FIRST_NEW else 0)

    def all(self) -> set[int]:
        return {self.supervoxel(slab * WIDTH) for slab in range(1, SLABS)} - {0}

    def of(self, body: int) -> list[int]:
        return sorted(s for s in self.all() if self.body(s) == body)

    def new(self) -> int:
        self.next += 1
        return self.next


async def _edit(view: View, request: Request, op: str) -> Reply:
    numbers: list[int] = await request.json(list[int])

    async def change(m: Mutation) -> int:
        tables = Tables(await m.get(STATE.key("tables")))
        event, result = _done(tables, op, numbers)
        m.put(STATE.key("tables"), tables.packed())
        m.record({"Action": op}, events=event)
        return result

    return Reply.json({"new": (await view.edit(op, change, locks=["tables"])).result})


def _done(tables: Tables, op: str, numbers: list[int]) -> tuple[list[Any], int]:
    if op == "merge":
        target, *merged = numbers
        for supervoxel in [s for body in merged for s in tables.of(body)]:
            tables.bodies[supervoxel] = target
        return [BodiesMerged(1, target, pack_labels(merged))], 0
    if op == "cleave":
        body, *supervoxels = numbers
        new = tables.new()
        tables.bodies.update(dict.fromkeys(supervoxels, new))
        return [BodyCleaved(1, body, new, pack_labels(supervoxels))], new
    if op == "renumber":
        events = []
        for new, old in zip(numbers[::2], numbers[1::2]):
            tables.bodies.update(dict.fromkeys(tables.of(old), new))
            events.append(BodyRenumbered(1, old, new))
        return events, 0
    if op == "map":
        pairs = dict(zip(numbers[::2], numbers[1::2]))
        tables.bodies.update(pairs)
        return [SupervoxelsMapped(1, pack_labels(list(pairs)))], 0
    if op == "split":
        (slab,) = numbers
        supervoxel = tables.supervoxel(slab * WIDTH)
        split, remain = tables.new(), tables.new()
        body = tables.body(supervoxel)
        for other in range(1, SLABS):
            if tables.supervoxel(other * WIDTH) == supervoxel:
                tables.slabs[other] = split if other == slab else remain
        tables.bodies.update({split: body, remain: body, supervoxel: 0})
        return [SupervoxelSplit(1, supervoxel, split, remain, body)], split
    slab, supervoxel = numbers
    tables.slabs[slab] = supervoxel
    low, high = slab * WIDTH // BLOCK[2], (slab * WIDTH + WIDTH - 1) // BLOCK[2]
    blocks = tuple((z, y, x) for z in range(7) for y in range(-3, 3) for x in range(low, high + 1))
    return [VoxelsWritten(blocks)], 0


def _route(op: str) -> Any:
    async def handler(view: View, request: Request) -> Reply:
        return await _edit(view, request, op)

    handler.__doc__ = f"{op}: a JSON list of numbers."
    return post(op, handler)


class Slabs(Instance):
    """Labels for tests."""

    typename = "slabs"
    keys = (STATE,)
    routes = tuple(map(_route, ("merge", "cleave", "renumber", "map", "split", "write")))
    emits = LABEL_EVENTS

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", SlabsAt(view)) if protocol is LabelsAt else None


class SlabsAt:
    """`LabelsAt` of slabs."""

    block: Triple = BLOCK

    def __init__(self, view: View) -> None:
        self._view = view

    async def tables(self) -> Tables:
        return Tables(await self._view.get(STATE.key("tables")))

    async def labels_at(self, points: NDArray[np.int64], *, supervoxels: bool = False) -> NDArray[np.uint64]:
        tables = await self.tables()
        found = [tables.supervoxel(x) for x in points[:, 2].tolist()]
        return np.array([s if supervoxels or not s else tables.body(s) for s in found], np.uint64)

    async def bodies_of(self, supervoxels: NDArray[np.uint64]) -> NDArray[np.uint64]:
        tables = await self.tables()
        return np.array([tables.body(s) for s in supervoxels.tolist()], np.uint64)

    async def supervoxels_of(self, body: int) -> NDArray[np.uint64] | None:
        found = (await self.tables()).of(body)
        return np.array(found, np.uint64) if found else None

    async def mapped_by(self, mutation: int) -> NDArray[np.uint64]:
        return np.empty(0, np.uint64)


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Slabs]
