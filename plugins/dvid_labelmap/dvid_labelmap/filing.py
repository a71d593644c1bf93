"""Posted indices that are too large for one commit.

All their rows are written first, as segments of an owner that no index names, some at a time.  The one commit that
follows has the heads, which name them; until then nobody sees anything.  A key tells which owners are being filed: what
a crash leaves of them is removed at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from dvid_core import BadRequest, Mutation, Unavailable, View
from dvid_voxels.segmentation.body import NO_ROWS, SMALL, Body, Segments, cut
from dvid_voxels.segmentation.index import stage_segments
from dvid_voxels.segmentation.keys import SEGMENT

from .keys import FILING

if TYPE_CHECKING:
    from .labelmap import LabelMap

log = logging.getLogger(__name__)

BODIES = 24
"""Bits of an owner that tell the bodies of one request apart: two may have rows of the same supervoxel."""

COMMIT = 1 << 20
"""Bytes of one commit."""

PART = 5000
"""Segments that are taken at a time."""

HEADS = 64 << 20
"""Bytes of heads in the last commit: it holds up others for some tenths of a second."""

FILED, DROPPED = b"\x01", b"\x02"

SEGMENT_BYTES = 80
"""What a segment takes besides its rows."""


class Filing:
    """The segments of one request: `async with Filing(view) as filing`; what is not published is removed."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._name = random.getrandbits(64 - BODIES)
        self._rows: list[tuple[Segments, list[bytes]]] = []
        self._held = 0

    async def __aenter__(self) -> Filing:
        return self

    async def __aexit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            # Not on behalf of the user, whose version may be locked by now.
            await asyncio.shield(drop(View(self._view.instance, self._view.node), self._name))

    async def filed(self, bodies: Mapping[int, Body]) -> dict[int, Body]:
        """The same indices with segments that are written; small ones as they are."""
        out: dict[int, Body] = {}
        heads = 0
        for number, (label, body) in enumerate(bodies.items()):
            rows = body.rows or NO_ROWS
            if len(rows) <= SMALL:
                heads += 40 + 20 * len(rows)
                out[label] = body
            else:
                segments, stored = await self._view.run(cut, rows, self._name << BODIES | number)
                # Heads of more than a megabyte are written before the commit that names them.
                heads += min(1 << 20, 32 * len(segments))
                out[label] = msgspec.structs.replace(body, rows=None, segments=segments)
                await self._add(segments, stored)
            if heads > HEADS:
                raise BadRequest(f"the indices of one request may have heads of {HEADS} bytes; post some at a time")
        await self._write()
        return out

    async def _add(self, segments: Segments, stored: list[bytes]) -> None:
        for at in range(0, len(stored), PART):
            part = slice(at, at + PART)
            some = Segments(
                segments.supervoxels[part], segments.owners[part], segments.cells[part], segments.voxels[part]
            )
            self._rows.append((some, stored[part]))
            self._held += sum(len(data) for data in stored[part]) + SEGMENT_BYTES * len(some)
            if self._held > COMMIT:
                await self._write()

    async def _write(self) -> None:
        if not self._rows:
            return

        async def change(m: Mutation) -> None:
            m.put(FILING.key(self._name), FILED)
            for segments, stored in self._rows:
                stage_segments(m, segments, stored)

        await self._view.edit("file", change, durable=False)
        self._rows, self._held = [], 0

    async def publish(self, m: Mutation) -> None:
        """Make it a part of the edit that the segments are in use."""
        if await m.get(FILING.key(self._name)) == DROPPED:
            raise Unavailable("the indices were given up while they were posted; try again")
        m.delete(FILING.key(self._name))


async def drop(view: View, name: int) -> None:
    """Remove the segments of a filing unless it was published."""

    async def begin(m: Mutation) -> bool:
        # Either this or the commit that publishes comes first, and the other one finds out.
        filed = await m.get(FILING.key(name)) is not None
        if filed:
            m.put(FILING.key(name), DROPPED)
        return filed

    if not (await view.edit("unfile", begin, durable=False)).result:
        return
    async for page in view.scan_keys(*SEGMENT.range(name << BODIES, (name + 1 << BODIES) - 1)):

        async def remove(m: Mutation, page: list[bytes] = page) -> None:
            for tkey in page:
                m.delete(tkey)

        await view.edit("unfile", remove, durable=False)

    async def end(m: Mutation) -> None:
        m.delete(FILING.key(name))

    await view.edit("unfile", end, durable=False)


async def drop_all(instance: LabelMap) -> None:
    """Remove what a crash left."""
    for version in sorted(instance.written(FILING.number)):
        node = instance.repo.dag.nodes.get(version) or instance.repo.dag.root
        view = View(instance, node)
        names = [FILING.unpack(tkey)[0] async for page in view.scan_keys(*FILING.all()) for tkey in page]
        for name in names if view.version == version else []:
            log.warning("%s at %s: indices that were not posted to their end are removed", instance.name, node.uuid)
            await drop(view, name)
