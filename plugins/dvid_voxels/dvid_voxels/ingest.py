"""Writing boxes of voxels and runs of blocks as their bytes come.

A body is cut into layers of blocks along z; a layer is written in several commits of about 1 MiB of voxels, each whole
with its part of the extents.  A request that breaks off leaves what was committed and can be sent again.  Before the
first commit the length of the body is known: from its head, or because all of it was spooled.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine, Iterator
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from dvid_core import BadRequest, KeyClass, Mutation, Request

from .arrays import Array, scatter
from .extents import grow_extents, read_extents
from .geometry import Box, Triple
from .pipeline import pipelined
from .spool import Spool
from .volume import LAYER, SLAB, STRIP, Volume

COMMIT = 1 << 20
"""Bytes of voxels in one commit: 4 MiB in one batch stall the event loop for 7 ms and more."""

BLOCKS = 1024
"""Blocks in one commit, where they are small."""

WIDTH = 3
"""Commits of one request that are made ready at a time."""

TOGETHER = 32 << 20
"""Bytes of a layer that is held in memory."""


class BodyReader:
    """The bytes of a request, taken in portions."""

    def __init__(self, request: Request, expected: int, *, longer: bool = False) -> None:
        """`expected` bytes must come; what follows them is refused unless `longer`.

        Raises `BadRequest` when the head of the request promises another length.
        """
        self.expected, self.longer = expected, longer
        self.length = request.body.length
        self._pieces = request.chunks()
        self._rest = memoryview(b"")
        if self.length is not None and (self.length < expected or (self.length > expected and not longer)):
            raise self._wrong(self.length)

    def _wrong(self, length: int) -> BadRequest:
        return BadRequest(f"the body has {length} bytes where the request needs {self.expected}")

    async def fill(self, spool: Spool, volume: Volume) -> Spool:
        """Append to `spool` until it is full.  Raises `BadRequest` when the body ends before."""
        while spool.filled < spool.nbytes:
            if not self._rest:
                piece: bytes = await anext(self._pieces, b"")
                self._rest = memoryview(piece)
                if not self._rest:
                    raise BadRequest(f"the body ended before the {self.expected} bytes that the request needs")
            room = spool.nbytes - spool.filled
            part, self._rest = self._rest[:room], self._rest[room:]
            if spool.in_memory:
                spool.append(part)
            else:
                await volume.view.run(spool.append, part)
        return spool

    async def end(self) -> None:
        """Raise `BadRequest` when more follows than is allowed."""
        if self.longer:
            return
        more: bytes = await anext(self._pieces, b"")
        if self._rest or more:
            raise BadRequest(f"the body has more than the {self.expected} bytes that the request needs")


class Part(msgspec.Struct, frozen=True):
    """What one commit writes."""

    box: Box
    source: Array
    """The voxels of `box`."""
    whole: list[Triple]
    values: list[bytes]
    """The stored forms of the blocks `whole`."""
    partial: list[Triple]
    """Blocks that keep some of their voxels."""


class Ingest:
    """Writes voxels into one volume."""

    def __init__(self, volume: Volume, extents: KeyClass | None = None) -> None:
        """`extents` is the key class of the extents that grow with what is written; None leaves them alone."""
        self.volume, self.key = volume, extents
        self._known: Box | None = None

    async def box(self, box: Box, request: Request) -> None:
        """Write the body of `request`, the voxels of `box`, x fastest.

        Blocks that are not wholly inside keep their other voxels.  Raises `BadRequest` when the body is too short or
        too long.
        """
        volume = self.volume
        reader = BodyReader(request, volume.nbytes(box))
        if self.key is not None:
            self._known = await read_extents(volume.view, self.key)
        z, y, x = box.size
        layer = volume.nbytes(Box(box.low, (min(z, volume.block[0]), y, x)))
        # A body whose length nobody promised is written when all of it is there.
        parts = iter([box]) if reader.length is None else box.layers(volume.block, max(1, SLAB // layer))
        async for spool in pipelined((self._layer(part, reader) for part in parts), 1 if layer <= LAYER else 0):
            with spool:
                if spool.box.high == box.high:
                    await reader.end()
                await self._write_spool(spool)

    async def _layer(self, box: Box, reader: BodyReader) -> Spool:
        nbytes = self.volume.nbytes(box)
        folder = self.volume.view.instance.server.spool_dir
        spool = Spool(box, self.volume.codec.item, in_memory=nbytes <= TOGETHER, folder=folder)
        try:
            return await reader.fill(spool, self.volume)
        except BaseException:
            spool.close()
            raise

    async def _write_spool(self, spool: Spool) -> None:
        if spool.in_memory:
            await self._commit_all(self._parts(spool.get(spool.box), spool.box))
            return
        item = np.dtype(self.volume.codec.item).itemsize
        for layer in spool.box.layers(self.volume.block):
            strips = (self._strip(spool, box) for box in layer.tiles(self.volume.block, STRIP // item))
            async for box, source in pipelined(strips):
                await self._commit_all(self._parts(source, box))

    async def _strip(self, spool: Spool, box: Box) -> tuple[Box, Array]:
        return box, await self.volume.view.run(spool.get, box)

    def _parts(self, source: Array, box: Box) -> Iterator[Coroutine[Any, Any, Part]]:
        block, item = self.volume.block, np.dtype(self.volume.codec.item).itemsize
        points = min(COMMIT // item, BLOCKS * math.prod(block))
        for layer in box.layers(block):
            for tile in layer.tiles(block, points):
                yield self._part(source[tile.slices(box)], tile)

    async def _part(self, source: Array, box: Box) -> Part:
        """What one commit writes: the voxels of a box, one layer of blocks deep."""
        volume = self.volume
        names = await self._inside(box.blocks(volume.block))
        if box.is_aligned(volume.block):
            whole, partial = names, []
        else:
            partial = [at for at in names if not box.contains(Box(at, (1, 1, 1)).voxels(volume.block))]
            whole = sorted(set(names).difference(partial))
        values = await volume.view.run(scatter, source, box, volume.codec, whole, {}) if whole else []
        return Part(box, source, whole, values, partial)

    async def _commit_all(self, parts: Iterator[Coroutine[Any, Any, Part]]) -> None:
        """Make some parts ready at a time, and commit them in their order.

        The order of commits is that of the keys, so that a store which sorts has nothing to sort again.
        """
        async for part in pipelined(parts, WIDTH):
            await self._commit(part)

    async def _commit(self, part: Part) -> None:
        volume, box, partial = self.volume, part.box, part.partial
        grows = self.key is not None and not self._holds(box)

        async def change(m: Mutation) -> Box | None:
            for at, value in zip(part.whole, part.values):
                m.put(volume.key_of(at), value)
            if partial:
                old = await m.get_many([volume.key_of(at) for at in partial])
                have = dict(zip(partial, old))
                values = await volume.view.run(scatter, part.source, box, volume.codec, partial, have)
                for at, value in zip(partial, values):
                    m.put(volume.key_of(at), value)
            if self.key is None or not grows:
                return self._known
            return await grow_extents(m, self.key, box)

        locks = [volume.key_of(at) for at in partial]
        if self.key is not None and grows:
            locks.append(self.key.key())
        done = await volume.view.edit("ingest", change, locks=locks, durable=False)
        self._known = done.result

    async def _inside(self, blocks: Box) -> list[Triple]:
        names = list(blocks.points())
        if self.volume.mask is None:
            return names
        inside = (await self.volume.mask.inside(blocks)).reshape(-1)
        return [at for at, wanted in zip(names, inside) if wanted]

    def _holds(self, box: Box) -> bool:
        return self._known is not None and self._known.contains(box)

    async def blocks(self, first: Triple, span: int, request: Request) -> None:
        """Write the body of `request`, `span` whole blocks along x from block `first`, one after another.

        What follows them is ignored.  Raises `BadRequest` when the body is too short; nothing is written then.
        """
        nbytes = self.volume.codec.nbytes
        reader = BodyReader(request, span * nbytes, longer=True)
        step = span if reader.length is None else max(1, LAYER // nbytes)
        async for spool in pipelined(self._portion(reader, span, at, step) for at in range(0, span, step)):
            with spool:
                await self._commit_all(self._block_parts(spool, first))

    async def _portion(self, reader: BodyReader, span: int, at: int, step: int) -> Spool:
        # Blocks as they come: z is the number of the block, and the voxels of a block lie along x.
        count = min(step, span - at)
        z, y, x = self.volume.block
        return await self._layer(Box((at, 0, 0), (count, 1, z * y * x)), reader)

    def _block_parts(self, spool: Spool, first: Triple) -> Iterator[Coroutine[Any, Any, Part]]:
        start, count = spool.box.low[0], spool.box.size[0]
        numbers = iter(range(start, start + count))
        while group := list(islice(numbers, max(1, min(BLOCKS, COMMIT // self.volume.codec.nbytes)))):
            yield self._block_part(spool, first, group)

    async def _block_part(self, spool: Spool, first: Triple, group: list[int]) -> Part:
        volume = self.volume
        part = Box((group[0], 0, 0), (len(group), 1, spool.box.size[2]))
        source = spool.get(part) if spool.in_memory else await volume.view.run(spool.get, part)
        values = await volume.view.run(_encode_all, volume, source)
        z, y, x = first
        names = [(z, y, x + n) for n in group]
        return Part(Box(names[0], (1, 1, len(names))).voxels(volume.block), source, names, values, [])


def _encode_all(volume: Volume, source: Array) -> list[bytes]:
    codec = volume.codec
    return [codec.encode(np.ascontiguousarray(voxels).reshape(codec.shape)) for voxels in source]
