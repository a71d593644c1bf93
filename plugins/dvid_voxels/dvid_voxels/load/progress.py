"""What is known of a load on the server: how many of its slabs are there, under a key of the instance.

The record is of the version that was loaded into, and seen from its descendants, as the voxels are.  It is written
after its slab, and durably, so that a slab that is counted is there after a power failure too.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from dvid_core import BadRequest, KeyClass, Mutation, NotFound, View

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Coordinate = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
Point = tuple[Coordinate, Coordinate, Coordinate]

BODY = 1 << 16
"""Bytes that a record may have."""

_ID = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One load; vectors are x, y, z."""

    source: Annotated[str, msgspec.Meta(max_length=4096)]
    offset: Point
    size: Point
    done: Count
    """Slabs that are there."""
    of: Count
    user: Annotated[str, msgspec.Meta(max_length=256)] = ""


def check_id(text: str) -> str:
    """Raise `BadRequest` unless this can be the id of a load."""
    if not _ID.fullmatch(text):
        raise BadRequest(f"id: expected up to 64 of 0-9 and a-f, got {text[:80]!r}")
    return text


async def read_progress(view: View, key: KeyClass, name: str) -> Progress:
    """One record.  Raises `NotFound`."""
    data = await view.get(key.key(check_id(name)))
    if data is None:
        raise NotFound(f"load {name} not found")
    return msgspec.json.decode(data, type=Progress)


async def all_progress(view: View, key: KeyClass) -> dict[str, Progress]:
    """All records, by their ids."""
    out = {}
    async for page in view.scan_keys(*key.all()):
        for tkey, data in zip(page, await view.get_many(page)):
            if data is not None:
                out[key.unpack(tkey)[0]] = msgspec.json.decode(data, type=Progress)
    return out


async def put_progress(view: View, key: KeyClass, name: str, progress: Progress) -> None:
    """Write one record."""
    tkey = key.key(check_id(name))

    async def change(m: Mutation) -> None:
        m.put(tkey, msgspec.json.encode(progress))

    await view.edit("load", change, locks=(tkey,))
