"""Extents: the box that was written, kept for each version under a key of the type's own class."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from dvid_core import Disputed, KeyClass, MergeConflict, Mutation, View

from .geometry import Box
from .settings import Point, VoxelSettings

_FORM = struct.Struct("<6q")


def pack_box(box: Box) -> bytes:
    """The stored form of a box."""
    return _FORM.pack(*box.low, *box.size)


def unpack_box(data: bytes) -> Box:
    """A box from its stored form."""
    z, y, x, *size = _FORM.unpack(data)
    return Box((z, y, x), (size[0], size[1], size[2]))


async def read_extents(view: View, key: KeyClass) -> Box | None:
    """The extents as `view` sees them.  Where parents of a merge disagree they hold the extents of both."""
    [found] = await view.find_many([key.key()])
    if found is None:
        return None
    if not isinstance(found, Disputed):
        return unpack_box(await found.read())
    boxes = [await read_extents(view.at(view.instance.repo.dag.nodes[v]), key) for v in found.versions]
    known = [b for b in boxes if b is not None]
    out = known[0]
    for box in known[1:]:
        out = out.union(box)
    return out


async def grow_extents(m: Mutation, key: KeyClass, box: Box) -> Box:
    """Let the extents of this version hold `box`, as a part of the edit `m`; returns the new extents."""
    try:
        stored = await m.get(key.key())
        known = None if stored is None else unpack_box(stored)
    except MergeConflict:
        known = await read_extents(m.view, key)
    grown = box if known is None else known.union(box)
    if grown != known:
        m.put(key.key(), pack_box(grown))
    return grown


def corners(box: Box | None) -> dict[str, list[int] | None]:
    """Extents as the wire shows them: both corners inside, x, y, z."""
    if box is None:
        return {"MinPoint": None, "MaxPoint": None}
    return {"MinPoint": list(box.low[::-1]), "MaxPoint": [h - 1 for h in box.high[::-1]]}


class ExtentsBody(msgspec.Struct, frozen=True):
    """The body of POST extents."""

    MinPoint: Point
    MaxPoint: Point


def number(value: float) -> float | int:
    """A number as the wire shows it: without a fraction when it has none."""
    return int(value) if value == int(value) else value


def shown(settings: VoxelSettings, box: Box | None, values: list[dict[str, str]], interpolable: bool) -> dict[str, Any]:
    """The part "Extended" of info."""
    blocks = None if box is None else corners(box.blocks(settings.block))
    return {
        "Values": values,
        "Interpolable": interpolable,
        "BlockSize": settings.BlockSize,
        "VoxelSize": [number(v) for v in settings.VoxelSize],
        "VoxelUnits": settings.VoxelUnits,
        **corners(box),
        "MinIndex": blocks["MinPoint"] if blocks else None,
        "MaxIndex": blocks["MaxPoint"] if blocks else None,
        "Background": settings.Background,
    }


def axes(settings: VoxelSettings, box: Box | None) -> list[dict[str, Any]]:
    """The axes x, y, z as `metadata` shows them."""
    sizes, offsets = (box.size[::-1], box.low[::-1]) if box is not None else ((0, 0, 0), (0, 0, 0))
    return [
        {"Label": label, "Resolution": number(length), "Units": units, "Size": size, "Offset": offset}
        for label, length, units, size, offset in zip("XYZ", settings.VoxelSize, settings.VoxelUnits, sizes, offsets)
    ]
