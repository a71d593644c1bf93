"""What is known of a conversion: how far it is, and what the check found; kept under a key of the labelmap.

The record is of the version that is converted and seen from its descendants, as the voxels are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dvid_core import Mutation, View
from dvid_voxels.extents import pack_box
from dvid_voxels.geometry import Box, Triple
from dvid_voxels.segmentation.asking import instance_of
from dvid_voxels.segmentation.keys import EXTENTS

from .keys import CONVERSION

State = Literal["copying", "checking", "done", "differs"]

LOCK = (2**32, 5)
"""Sorts behind the locks of all versions."""

SHOWN = 10
"""Differences that are named."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the check counted; each block of voxels was compared, and each label in the indices."""

    blocks: int = 0
    """Blocks of the source."""
    labels: int = 0
    voxels: int = 0
    """Those that are not background."""
    different_blocks: int = 0
    different_labels: int = 0
    examples: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether all is as in the source."""
        return not (self.different_blocks or self.different_labels)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion."""

    source: str
    """The name of the source; its identity is in the key."""
    uuid: str
    """The version."""
    state: State = "copying"
    reached: Triple | None = None
    """The last cube that is there, in the order z, y, x; None when all are to be looked at."""
    written: int = 0
    """Blocks that were written."""
    same: int = 0
    """Blocks that were there already."""
    user: str = ""
    began: float = 0.0
    report: Report | None = None


async def read_record(view: View, source: str) -> Record | None:
    """The record of a source, by its data UUID."""
    data = await view.get(CONVERSION.key(source))
    return None if data is None else msgspec.json.decode(data, type=Record)


async def all_records(view: View) -> list[Record]:
    """All that are seen, the latest first."""
    found = []
    async for page in view.scan_keys(*CONVERSION.all()):
        found += [msgspec.json.decode(data, type=Record) for data in await view.get_many(page) if data is not None]
    return sorted(found, key=lambda r: -r.began)


async def put_record(view: View, source: str, record: Record) -> None:
    """Write a record, durably, and with it all blocks that were written before."""

    async def change(m: Mutation) -> None:
        m.put(CONVERSION.key(source), msgspec.json.encode(record))

    await view.edit("convert", change, locks=(LOCK,))


async def end_copy(view: View, source: str, record: Record, extents: Box | None, largest: int) -> None:
    """The same when all is copied: the extents become those of the source, the max label grows to `largest`."""
    instance = instance_of(view)

    async def change(m: Mutation) -> None:
        m.put(CONVERSION.key(source), msgspec.json.encode(record))
        if extents is not None:
            m.put(EXTENTS.key(), pack_box(extents))
        if instance.raises(view.version, largest):
            m.record(payload={"max": largest})

    await view.edit("convert", change, locks=((view.version, 1), LOCK))
