"""The journal: what each edit did, and the indices of its bodies just before it.

Both are stored by the edit's own commit, under its mutation id and its version, so a version sees the edits of its
ancestors and its own.  Ids of edits that touch the same body grow in the order of the edits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from dvid_core import Disputed, View
from dvid_voxels.label_events import pack_labels, unpack_labels
from dvid_voxels.segmentation.body import Body, Labels, read_body

from ..keys import BEFORE, EDIT

LATEST = 2**64 - 1


class Move(msgspec.Struct, frozen=True):
    """Supervoxels that went from one body to another."""

    source: int
    target: int
    packed: bytes
    emptied: bool
    """Nothing was left of the source."""
    made: bool
    """There was no target before."""

    @property
    def supervoxels(self) -> Labels:
        """What went."""
        return unpack_labels(self.packed)


def move_of(source: int, target: int, supervoxels: Labels, *, emptied: bool, made: bool) -> Move:
    """A move of these supervoxels."""
    return Move(source, target, pack_labels(supervoxels), emptied, made)


class Cut(msgspec.Struct, frozen=True):
    """A supervoxel that was cut in two; or put together again, when the entry undoes a cut."""

    body: int
    supervoxel: int
    split: int
    remain: int
    split_size: int
    remain_size: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One edit: first its cuts, then its moves, in order."""

    kind: str
    mutation: int
    time: float
    user: str = ""
    app: str = ""
    uuid: str = ""
    """The version."""
    shown: list[dict[str, Any]] = []
    """What `GET mutations` shows of it."""
    cuts: list[Cut] = []
    moves: list[Move] = []
    downres: bool = True
    """Whether lower scales follow the cuts."""
    undoes: int = 0
    """The mutation id of the edit that this one undoes."""


_DECODER = msgspec.msgpack.Decoder(Entry)


def pack_entry(entry: Entry) -> bytes:
    """The stored form."""
    return msgspec.msgpack.encode(entry)


async def touched(view: View, label: int, until: int = LATEST) -> AsyncIterator[int]:
    """The mutation ids of the edits that touched a body of this name, newest first, none after `until`."""
    async for page in view.scan_keys(*BEFORE.range((label, 0), (label, until)), reverse=True):
        for tkey in page:
            yield BEFORE.unpack(tkey)[1]


async def entries_of(view: View, mutations: Sequence[int]) -> list[Entry]:
    """The edits of mutation ids, in their order."""
    stored = await view.get_many([EDIT.key(n) for n in mutations])
    return [_DECODER.decode(data) for data in stored if data is not None]


async def all_entries(view: View) -> AsyncIterator[list[Entry]]:
    """All edits that can be seen from here, oldest first, some at a time."""
    async for page in view.scan(*EDIT.all()):
        stored = [await found.read() for _, found in page if not isinstance(found, Disputed)]
        yield await view.run(_decoded, stored)


def _decoded(stored: Sequence[bytes]) -> list[Entry]:
    return [_DECODER.decode(data) for data in stored]


async def body_before(view: View, label: int, mutation: int) -> Body | None:
    """A body just before the last edit up to `mutation` that touched it; None when there was none, or no such edit."""
    async for last in touched(view, label, mutation):
        head = await view.get(BEFORE.key(label, last))
        return read_body(head) if head else None
    return None
