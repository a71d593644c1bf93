"""`LabelVolume`: the label blocks of one scale as one version sees them, and boxes of labels read from them."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import KeyClass, View

from .. import labels
from ..codecs import Codec, DamagedBlock
from ..geometry import Box, Triple
from ..peers import RoiMask
from ..pipeline import pipelined
from ..volume import Stored, Volume
from .keys import ScaleKey
from .merging import FirstParent, may_dispute
from .rewriting import moves_of

Array: TypeAlias = NDArray[np.uint64]

GZIP = b"\x1f\x8b"

BATCH = 64
"""Blocks that are read at a time; compressed they have some 10 KB each."""

SMALL = 1 << 15
"""Voxels that are read without a hop to a thread."""

FEW = 27
"""So many blocks are asked for in one call."""

SLAB = 32 << 20
"""Bytes of voxels of a box that are held at once, unless a layer of blocks has more."""

KEPT = 24 << 20
"""Bytes of unpacked blocks that an instance keeps: looking one up takes 10 us, unpacking it 150."""

PLAIN = 128
"""Bytes of a block that is stored as it is."""


class Bodies(Protocol):
    """Which bodies supervoxels belong to, at one version and moment.  Its methods are kernels."""

    @property
    def empty(self) -> bool:
        """Whether every supervoxel is its own body."""
        ...

    def bodies(self, supervoxels: Array) -> Array:
        """(n,) -> the body of each; 0 for those that are retired."""
        ...


class _Themselves:
    """Every supervoxel is its own body."""

    empty = True

    def bodies(self, supervoxels: Array) -> Array:
        return supervoxels


THEMSELVES: Bodies = cast("Bodies", _Themselves())


def is_gzip(stored: bytes | memoryview) -> bool:
    """Whether a stored form is a gzip member; values come as bytes or as views."""
    return stored[:2] == GZIP


class Recent:
    """Bytes that were made of others, those that were made last.  Found by what they were made of, so they are never
    out of date.  Called in any thread."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[tuple[bytes, ...], bytes] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    def get(self, *of: bytes) -> bytes | None:
        """What was made of these."""
        return self._kept.get(of)

    def keep(self, made: bytes, *of: bytes) -> None:
        """Keep what was made of these, unless it takes much of the room."""
        size = _size_of(of, made)
        if size > self._room // 64:
            return
        with self._lock:
            if of in self._kept:
                return
            self._kept[of] = made
            self._nbytes += size
            while self._nbytes > self._room:
                self._nbytes -= _size_of(*self._kept.popitem(last=False))


def _size_of(of: tuple[bytes, ...], made: bytes) -> int:
    return len(made) + sum(map(len, of))


class Unpacker:
    """Makes label blocks of `size` (z, y, x) voxels of their stored forms, and keeps some that were met last.

    Called in any thread.
    """

    def __init__(self, size: Triple) -> None:
        self.size = size
        self._limit = labels.limit(size)
        self._kept = Recent(KEPT)
        self.replies = Recent(KEPT)
        """LZ4 blocks of the voxels of whole blocks, of their stored forms and the labels that are shown."""

    def __call__(self, stored: bytes | memoryview) -> bytes:
        """The label block of a stored form.  Raises `ValueError`."""
        if not is_gzip(stored):
            return bytes(stored)
        name = bytes(stored)
        block = self._kept.get(name)
        if block is None:
            block = labels.gunzip(name, self._limit)
            self._kept.keep(block, name)
        return block


def packed(block: bytes) -> bytes:
    """The stored form of a label block."""
    return labels.gzipped(block) if len(block) > PLAIN else block


class BlockReader(Volume, frozen=True):
    """The stored blocks of one scale; compressed, many fit in memory."""

    @property
    def _batch_size(self) -> int:
        return BATCH

    async def values(self, wanted: Sequence[Triple]) -> list[Stored]:
        if cast("ScaleKey", self.key).scale:
            return await self._read(wanted)
        moves = moves_of(self.view)
        while True:
            turn = moves.turn
            found = await self._read(wanted)
            if moves.turn == turn:
                break
            # Blocks were moved meanwhile: what was read of them may be what they were before the edit.
        return await moves.replaced(self.view, found) if moves.shown else found

    async def _read(self, wanted: Sequence[Triple]) -> list[Stored]:
        if not may_dispute(self.view, self.key.number):
            return await Volume.values(self, wanted)
        values = await FirstParent(self.view).get_many([self.key_of(at) for at in wanted])
        return [(at, value) for at, value in zip(wanted, values) if value is not None]


def together(found: Iterable[Stored], unpack: Unpacker, seen: Bodies | None) -> labels.Blocks:
    """A kernel: stored blocks side by side, their tables mapped to bodies when `seen` is given."""
    try:
        blocks = labels.Blocks.of([(at, unpack(stored)) for at, stored in found], unpack.size)
    except ValueError as err:
        raise DamagedBlock(f"a stored label block cannot be read: {err}") from err
    if seen is None or seen.empty or not len(blocks):
        return blocks
    return blocks.mapped(seen.bodies(blocks.tables()))


class LabelVolume(msgspec.Struct, frozen=True):
    """Made for each request; sees one moment of the mapping."""

    view: View
    scale: int
    unpack: Unpacker
    seen: Bodies | None = None
    """What makes bodies of supervoxels; None leaves supervoxels."""
    mask: RoiMask | None = None
    """Blocks outside read as 0."""

    @property
    def size(self) -> Triple:
        """Voxels of a block, z, y, x."""
        return self.unpack.size

    @property
    def blocks(self) -> BlockReader:
        """The stored blocks."""
        return BlockReader(self.view, cast("KeyClass", ScaleKey(self.scale)), Codec(self.size, "<u8"))

    @property
    def mapped(self) -> bool:
        """Whether what is read differs from what is stored."""
        return self.seen is not None and not self.seen.empty

    async def run(self, voxels: int, kernel: Any, *args: Any) -> Any:
        """A kernel over so many voxels, in a thread unless that takes longer than the work."""
        if voxels <= SMALL and labels.ready():
            return kernel(*args)
        return await self.view.run(kernel, *args)

    async def stored(self, box: Box) -> AsyncIterator[list[Stored]]:
        """Batches of the stored blocks within a box of blocks, those outside of the mask left out."""
        if self.mask is None and box.count <= FEW:
            few = await self.blocks.values(list(box.points()))
            if few:
                yield few
            return
        inside = None if self.mask is None else await self.mask.inside(box)
        async for batch in self.blocks.stored(box):
            if inside is not None:
                z, y, x = box.low
                batch = [found for found in batch if inside[found[0][0] - z, found[0][1] - y, found[0][2] - x]]
            if batch:
                yield batch

    async def made(self, kernel: Any, box: Box, *args: Any) -> Any:
        """What a kernel makes of the blocks that a box of voxels touches, mapped: `kernel(blocks, box, *args)`.

        The caller bounds the box.
        """
        found: list[Stored] = []
        async for batch in self.stored(box.blocks(self.size)):
            found += batch
        return await self.run(box.count, _made, kernel, found, self.unpack, self.seen, box, args)

    async def lz4(self, box: Box) -> bytes:
        """The voxels of `box` as one LZ4 block; the caller bounds it."""
        if box != box.blocks(self.size).voxels(self.size) or box.count != math.prod(self.size):
            return cast("bytes", await self.made(labels.lz4_of, box))
        # Viewers ask for whole blocks, several people for the same ones.
        found = [one async for batch in self.stored(box.blocks(self.size)) for one in batch]
        args = (labels.lz4_of, found, self.unpack, self.seen, box, ())
        if not found:
            return cast("bytes", await self.run(box.count, _made, *args))
        of = bytes(found[0][1]), _names(found[0][1], self.unpack, self.seen)
        made = self.unpack.replies.get(*of)
        if made is None:
            made = cast("bytes", await self.run(box.count, _made, *args))
            self.unpack.replies.keep(made, *of)
        return made

    async def read(self, box: Box) -> Array:
        """The voxels of `box`, an array (z, y, x); the caller bounds it."""
        found: list[Stored] = []
        out: Array | None = None
        async for batch in self.stored(box.blocks(self.size)):
            found += batch
            if len(found) >= BATCH:
                out = np.zeros(box.size, np.uint64) if out is None else out
                await self.view.run(_fill, out, box, found, self.unpack, self.seen)
                found = []
        if out is None:
            args = (found, self.unpack, self.seen, box, ())
            return cast("Array", await self.run(box.count, _made, labels.assemble, *args))
        if found:
            await self.view.run(_fill, out, box, found, self.unpack, self.seen)
        return out

    async def stream(self, box: Box) -> AsyncIterator[bytes]:
        """The voxels of `box` in pieces, x fastest, then y, then z; a few slabs of them are in memory."""
        async for piece in pipelined(self._packed(part) for part in self.slabs(box)):
            yield piece

    def slabs(self, box: Box) -> Iterator[Box]:
        """The box cut along z at the faces of blocks."""
        layer = box.size[1] * box.size[2] * min(box.size[0], self.size[0]) * 8
        return box.layers(self.size, max(1, SLAB // layer))

    async def _packed(self, box: Box) -> bytes:
        return cast("bytes", (await self.read(box)).reshape(-1).view(np.uint8).data)

    async def lz4_stream(self, box: Box) -> AsyncIterator[bytes]:
        """The voxels of `box` as one LZ4 block."""
        parts = list(self.slabs(box))
        joiner = labels.Lz4Joiner()
        async for piece in pipelined((self._lz4(part, part is parts[-1]) for part in parts), 2):
            data = joiner.add(piece)
            if data:
                yield data

    async def _lz4(self, box: Box, last: bool) -> Any:
        return await self.made(_lz4_piece, box, last)

    async def at_points(self, points: NDArray[np.int64]) -> Array:
        """The labels of voxels, (n, 3) of z, y, x: (n,)."""
        out = np.zeros(len(points), np.uint64)
        where = np.floor_divide(points, np.array(self.size))
        distinct, members = np.unique(where, axis=0, return_inverse=True)
        members = members.reshape(-1)
        order = np.argsort(members, kind="stable")
        ends = np.searchsorted(members[order], np.arange(len(distinct) + 1))
        names: list[Triple] = [(z, y, x) for z, y, x in distinct.tolist()]
        for at in range(0, len(names), BATCH):
            found = await self.blocks.values(names[at : at + BATCH])
            if not found:
                continue
            some = order[ends[at] : ends[min(at + BATCH, len(names))]]
            out[some] = await self.run(
                SMALL * (len(found) > 2) + 1, _labels_at, found, self.unpack, self.seen, points[some]
            )
        return out


def _fill(out: Array, box: Box, found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None) -> None:
    together(found, unpack, seen).fill(out, box.low)


def _made(
    kernel: Any, found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None, box: Box, args: tuple[Any, ...]
) -> Any:
    return kernel(together(found, unpack, seen), box, *args)


def _names(stored: bytes | memoryview, unpack: Unpacker, seen: Bodies | None) -> bytes:
    """The labels that a block shows, in the order of its table; nothing when they are its own."""
    if seen is None or seen.empty:
        return b""
    try:
        return seen.bodies(labels.table(unpack(stored))).tobytes()
    except ValueError as err:
        raise DamagedBlock(f"a stored label block cannot be read: {err}") from err


def _lz4_piece(blocks: labels.Blocks, box: Box, last: bool) -> Any:
    return labels.lz4_piece(blocks, box, last=last)


def _labels_at(found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None, points: NDArray[np.int64]) -> Array:
    at = together(found, unpack, None).labels_at(points)
    return at if seen is None else seen.bodies(at)


def batches(items: Iterable[Any], count: int) -> Iterator[list[Any]]:
    """Lists of at most `count` of the items."""
    rest = iter(items)
    while batch := list(islice(rest, count)):
        yield batch


__all__ = ["BATCH", "Array", "LabelVolume", "Unpacker", "batches", "packed", "together"]
