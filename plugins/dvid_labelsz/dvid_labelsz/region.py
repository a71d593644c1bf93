"""The region of interest that an instance counts in: read once, and kept whatever becomes of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Self

import numpy as np

from dvid_core import DvidError, Instance, Mutation, View
from dvid_voxels.geometry import Triple
from dvid_voxels.regions import Region
from dvid_voxels.spans import Spans, contains

from .counts import Changes
from .keys import REGION

log = logging.getLogger(__name__)

INLINE = 4096
"""Changes that take less time than a hop to a thread."""


class Mask:
    """A region as it was."""

    def __init__(self, block: Triple, spans: Spans) -> None:
        self._block, self._spans = block, spans

    def kept(self, changes: Changes) -> Changes:
        """Those inside.  A kernel."""
        blocks = changes["position"].astype(np.int64) // np.array(self._block)
        inside: Changes = changes[contains(self._spans, blocks.astype(np.int32))]
        return inside

    async def inside(self, view: View, changes: Changes) -> Changes:
        """Those inside."""
        return self.kept(changes) if len(changes) <= INLINE else await view.run(self.kept, changes)

    def pack(self) -> bytes:
        """As it is stored."""
        return np.array(self._block, "<i4").tobytes() + self._spans.astype("<i4").tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """From its stored form."""
        z, y, x = np.frombuffer(data, "<i4", 3).tolist()
        return cls((z, y, x), np.frombuffer(data, "<i4", offset=12).reshape(-1, 4).astype(np.int32))


async def read_mask(instance: Instance, name: str, uuid: str) -> Mask | None:
    """The region `name` at version `uuid`; None while there is no such instance, or nothing is in it."""
    try:
        repo, node = instance.server.repos.find(uuid)
        other = repo.instance(name)
        await other.ready()
        region = other.offer(Region, View(other, node))
        if region is None:
            raise ValueError(f"an instance of type {other.typename} is no region")
        parts = [spans async for spans in region.spans()]
    except (DvidError, ValueError) as err:
        log.warning("%s counts nothing: its ROI %s,%s cannot be read: %s", instance.name, name, uuid, err)
        return None
    return Mask(region.block, np.concatenate(parts)) if parts else None


async def keep_mask(m: Mutation, mask: Mask) -> None:
    """Stage a copy, so that it stays the same after a restart."""

    async def whole() -> AsyncIterator[bytes]:
        yield mask.pack()

    m.put(REGION.key(), await m.view.stage(whole()))
