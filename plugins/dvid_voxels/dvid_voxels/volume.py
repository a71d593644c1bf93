"""`Volume`: the blocks of one instance as one version sees them, and how boxes of voxels are read from them.

Work is proportional to the blocks that exist, and memory to a few slabs, however large the box is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import msgspec
import numpy as np

from dvid_core import KeyClass, Piece, View

from .arrays import Array, cover, gather
from .codecs import Codec
from .geometry import Box, Triple
from .peers import RoiMask
from .pipeline import pipelined
from .spool import Spool

SLAB = 4 << 20
"""Bytes of voxels that are read at a time, unless a layer of blocks has more."""

LAYER = 16 << 20
"""Bytes of the largest layer of blocks that is held in memory; a larger one is put together in a file, which takes five
times as long."""

TWO = 8 << 20
"""Bytes of the largest layer that is read while the one before is sent."""

STRIP = 8 << 20
"""Bytes of voxels on their way to or from such a file: whole rows, if they fit, are written and read at once."""

BATCH = 6 << 20
"""Bytes of decoded blocks that are read from the store at a time."""

DIRECT = 256
"""So many blocks are asked for by name; of more, those that exist are looked up first."""

INLINE = 512 << 10
"""Bytes of voxels that are copied on the event loop: 60 to 150 us, where a hop to a thread and back costs 50 to 150;
to decode a block costs `DECODING` times as much as to copy it, or far more."""

DECODING = 4

Stored: TypeAlias = tuple[Triple, Piece]
"""Block coordinates z, y, x and the stored form of the block."""


class Volume(msgspec.Struct, frozen=True):
    """Made for each request; holds nothing but what it needs to find its blocks."""

    view: View
    key: KeyClass
    """The class of the block keys; its one field is ZYX."""
    codec: Codec
    background: int = 0
    """The byte that stands for voxels without a block, where they are not read as 0."""
    mask: RoiMask | None = None
    """Blocks outside that have a value read as `background`."""

    @property
    def block(self) -> Triple:
        """The size of a block, z, y, x."""
        return self.codec.shape

    def key_of(self, at: Triple) -> bytes:
        """The tkey of a block."""
        return self.key.key(at)

    # -- blocks

    async def existing(self, blocks: Box) -> AsyncIterator[Triple]:
        """Coordinates of the blocks within a box of blocks that have a value, in order."""
        (z, low_y, low_x), (high_z, high_y, high_x) = blocks.low, blocks.high
        y = low_y
        while z < high_z:
            found = False
            async for page in self.view.scan_keys(self.key_of((z, y, low_x)), self.key_of((z, y, high_x))):
                for tkey in page:
                    found = True
                    yield self.key.unpack(tkey)[0]
            y += 1
            if not found:
                # An empty row: go on at the row of the next block that there is.
                beyond = await self._next(self.key_of((z, y, low_x)), self.key_of((high_z, low_y, low_x)))
                if beyond is None:
                    return
                if beyond[0] > z:
                    z, y = beyond[0], low_y
                y = max(y, beyond[1])
            if y >= high_y:
                z, y = z + 1, low_y

    async def _next(self, start: bytes, end: bytes) -> Triple | None:
        pages = self.view.scan_keys(start, end)
        try:
            async for page in pages:
                at: Triple = self.key.unpack(page[0])[0]
                return at
        finally:
            await pages.aclose()  # type: ignore[attr-defined]
        return None

    async def values(self, wanted: Sequence[Triple]) -> list[Stored]:
        """Those of the wanted blocks that exist."""
        key = self.key.key
        values = await self.view.buffers([key(at) for at in wanted])
        return [(at, value) for at, value in zip(wanted, values) if value is not None]

    async def stored(self, blocks: Box) -> AsyncIterator[list[Stored]]:
        """The blocks within a box of blocks that exist, in order, in batches; the next is read ahead."""
        if blocks.count <= DIRECT:
            source = blocks.points()
            if blocks.count <= self._batch_size:
                yield await self.values(list(source))
                return
            async for batch in pipelined(self.values(names) for names in self._batches(source)):
                yield batch
            return
        names: list[Triple] = []
        size = self._batch_size
        async for at in self.existing(blocks):
            names.append(at)
            if len(names) >= 4 * size:
                async for batch in pipelined(self.values(part) for part in self._batches(iter(names))):
                    yield batch
                names = []
        async for batch in pipelined(self.values(part) for part in self._batches(iter(names))):
            yield batch

    async def named(self, names: Sequence[Triple]) -> AsyncIterator[list[Stored]]:
        """Those of the named blocks that exist, in batches; the next is read ahead."""
        async for batch in pipelined(self.values(part) for part in self._batches(iter(names))):
            yield batch

    @property
    def _batch_size(self) -> int:
        return max(1, min(DIRECT, BATCH // self.codec.nbytes))

    def _batches(self, names: Iterator[Triple]) -> Iterator[list[Triple]]:
        while batch := list(islice(names, self._batch_size)):
            yield batch

    # -- voxels

    async def read(self, box: Box) -> Array:
        """The voxels of `box`, an array (z, y, x) of opaque items; those without a block are 0."""
        found = await self._find(box)
        return np.zeros(box.size, self.codec.item) if found is None else found

    async def _find(self, box: Box) -> Array | None:
        """The same; None when there is no block."""
        out = None
        blocks = box.blocks(self.block)
        inside = None if self.mask is None else await self.mask.inside(blocks)
        async for batch in self.stored(blocks):
            if not batch:
                continue
            if out is None:
                out = (np.empty if len(batch) == blocks.count else np.zeros)(box.size, self.codec.item)
            if inside is not None:
                low = blocks.low
                hidden = {(z, y, x) for (z, y, x), _ in batch if not inside[z - low[0], y - low[1], x - low[2]]}
                cover(out, box, self.block, hidden, self.background)
                batch = [found for found in batch if found[0] not in hidden]
            if self._weight(batch, out) <= INLINE:
                gather(out, box, self.codec, batch)
            else:
                await self.view.run(gather, out, box, self.codec, batch)
        return out

    def _weight(self, batch: list[Stored], out: Array) -> int:
        """How much work it is to gather some blocks: about so many bytes to be copied."""
        nbytes = self.codec.nbytes
        packed = sum(len(stored) <= nbytes for _, stored in batch)
        if packed and not self.codec.quick:
            return INLINE + 1
        return min(out.nbytes, len(batch) * nbytes) + packed * nbytes * DECODING

    def nbytes(self, box: Box) -> int:
        """Bytes of the voxels of a box."""
        return box.count * np.dtype(self.codec.item).itemsize

    async def packed(self, box: Box) -> memoryview:
        """The voxels of a small box, x fastest, then y, then z.

        A memory view, because making bytes of it took as long as gathering the blocks.
        """
        return (await self.read(box)).reshape(-1).view(np.uint8).data

    async def stream(self, box: Box) -> AsyncIterator[Piece]:
        """The voxels of `box` in pieces, x fastest, then y, then z."""
        z, y, x = box.size
        layer = self.nbytes(Box(box.low, (min(z, self.block[0]), y, x)))
        if layer > LAYER:
            for part in box.layers(self.block):
                async for piece in self._through_file(part):
                    yield piece
            return
        parts = (self.packed(part) for part in box.layers(self.block, max(1, SLAB // layer)))
        async for piece in pipelined(parts, 1 if layer <= TWO else 0):
            yield piece
            del piece  # its megabytes, while the next is awaited

    async def _through_file(self, box: Box) -> AsyncIterator[Piece]:
        run = self.view.run
        with Spool(box, self.codec.item, in_memory=False, folder=self.view.instance.server.spool_dir) as spool:
            item = np.dtype(self.codec.item).itemsize
            async for tile, out in pipelined(self._tile(t) for t in box.tiles(self.block, STRIP // item)):
                if out is not None:
                    await run(spool.put, tile, out)
            for at in range(0, spool.nbytes, 1 << 20):
                yield await run(spool.piece, at, min(1 << 20, spool.nbytes - at))

    async def _tile(self, box: Box) -> tuple[Box, Array | None]:
        return box, await self._find(box)
