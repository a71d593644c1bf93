"""`Sparse`: where a body or a supervoxel is: its supervoxels, and the blocks of one scale that may have them.

It is found from the label index at one moment.  Merges, cleaves and renumberings after that change no voxels, and what
splits change is followed (`labels_now`), so that a long read gives the body as it was when the read began.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Unavailable, View

from .. import labels
from ..geometry import Box, Triple
from ..pipeline import pipelined
from ..volume import Stored
from .asking import instance_of
from .body import Body, Labels, Rows, Segments, read_body
from .index import AT_ONCE
from .keys import BODY, SEGMENT
from .merging import origin
from .packing import CELL, REACH, Keys, blocks_in, pack_blocks, unpack_blocks
from .ragged import RaggedBox
from .volume import Bodies, LabelVolume, Unpacker, together

T = TypeVar("T")

PAGE = 64
"""Blocks that are read and worked on at a time."""

AHEAD = 2
"""Pages that are worked on while one is sent."""

TRIES = 8

INLINE = 1 << 12
"""Rows of an index that are looked at without a hop to a thread."""


class SparseRules(msgspec.Struct, frozen=True):
    """What datatypes answer differently."""

    empty_is_absent: bool = False
    """404 where bounds leave no voxel of a label; else an empty reply, or a list of nothing."""
    tells_voxels: bool = True
    """sparsevol-size has the voxels besides the blocks and their box."""
    ragged: bool = False
    """Runs stick out of bounds as `RaggedBox` says."""


class Bounds(msgspec.Struct, frozen=True):
    """A box of voxels some sides of which may be open; corners x, y, z, both inside."""

    low: tuple[int | None, int | None, int | None]
    high: tuple[int | None, int | None, int | None]

    @property
    def open(self) -> bool:
        """Whether nothing is bounded."""
        return self.low == self.high == (None, None, None)

    def box(self) -> Box:
        """The voxels within."""
        low = tuple(-(2**31) if n is None else n for n in self.low[::-1])
        high = tuple(2**31 if n is None else n + 1 for n in self.high[::-1])
        return Box.between(cast("Triple", low), cast("Triple", high))

    def blocks(self, size: Triple, scale: int = 0) -> tuple[Triple, Triple]:
        """The first and the last block of scale 0 under the blocks of `scale` that are touched, z, y, x."""
        low, high = [], []
        for first, last, side in zip(self.low[::-1], self.high[::-1], size):
            low.append(-REACH if first is None else max(-REACH, first // side << scale))
            high.append(REACH - 1 if last is None else min(REACH - 1, ((last // side + 1) << scale) - 1))
        return cast("Triple", tuple(low)), cast("Triple", tuple(high))


OPEN = Bounds((None, None, None), (None, None, None))


class Place(msgspec.Struct, frozen=True):
    """The supervoxels of a body, or one of them, and the blocks of scale 0 that have them."""

    labels: Labels
    """Ascending."""
    blocks: Keys
    """Packed, ascending; those within the bounds that were given."""
    voxels: int
    """All of them, whatever the bounds."""
    splits: int
    """Splits that the version had seen before the index was read."""


def body_named(seen: Bodies, supervoxel: int) -> int:
    """The body of a supervoxel.  Raises `BadRequest` when it was split or never was one."""
    body = int(seen.bodies(np.array([supervoxel], np.uint64))[0])
    if not body:
        raise BadRequest(f"supervoxel {supervoxel} was split or retired")
    return body


async def find_place(view: View, label: int, *, supervoxel: bool, limits: tuple[Triple, Triple] | None) -> Place | None:
    """Where a body or supervoxel is, as its index says; None when there is none.

    `limits` are the first and the last block of scale 0, z, y, x, that are of interest.  Raises `BadRequest` for a
    supervoxel that was split.
    """
    instance = instance_of(view)
    for _ in range(TRIES):
        splits = len(instance.splits(view.version))
        name = body_named(instance.seen(view), label) if supervoxel else label
        data = await view.get(BODY.key(name))
        body = None if data is None else read_body(data)
        part = None if body is None else _part_of(body, label if supervoxel else None)
        if part is None or not len(part):
            if supervoxel and body_named(instance.seen(view), label) != name:
                continue  # it was moved to another body between the two looks
            return None
        known = np.array([label], np.uint64) if supervoxel else np.unique(part.supervoxels)
        try:
            blocks = await blocks_of(await origin(view, name), part, limits)
        except LookupError:
            continue  # an edit replaced segments between the two reads
        return Place(known, blocks, int(part.voxels.sum(dtype=np.uint64)), splits)
    raise Unavailable("the index is changed faster than it can be read; try again")


def _part_of(body: Body, supervoxel: int | None) -> Rows | Segments | None:
    part = body.rows if body.rows is not None else body.segments
    if part is None or supervoxel is None:
        return part
    return part.take(part.supervoxels == np.uint64(supervoxel))


async def blocks_of(view: View, part: Rows | Segments, limits: tuple[Triple, Triple] | None) -> Keys:
    """The blocks of rows or segments within limits, packed, ascending, each once.

    Segments are read some thousands at a time and only their blocks are kept: 8 bytes for each.  Raises `LookupError`
    when a segment is gone.
    """
    if isinstance(part, Rows):
        return distinct(part.blocks, limits)
    if limits is not None:
        low, high = ([(n + REACH) >> CELL for n in corner] for corner in limits)
        part = part.take(_within(part.cells, low, high))
    found: list[Keys] = []
    for at in range(0, len(part), AT_ONCE):
        some = part.take(np.arange(at, min(at + AT_ONCE, len(part))))
        found.append(await _segment_blocks(view, some, limits))
    if not found:
        return np.empty(0, np.uint64)
    return found[0] if len(found) == 1 else await view.run(np.unique, np.concatenate(found))


async def _segment_blocks(view: View, part: Segments, limits: tuple[Triple, Triple] | None) -> Keys:
    names = zip(part.owners.tolist(), part.supervoxels.tolist(), part.cells.tolist())
    stored = await view.get_many([SEGMENT.key(*name) for name in names])
    if any(data is None for data in stored):
        raise LookupError("a segment is gone")
    held = cast("list[bytes]", stored)
    if len(held) < 8:
        return _unpacked_blocks(held, part.cells, limits)
    return await view.run(_unpacked_blocks, held, part.cells, limits)


def _unpacked_blocks(stored: list[bytes], cells: Keys, limits: tuple[Triple, Triple] | None) -> Keys:
    """A kernel: the blocks of stored segments, see `body` for their form."""
    order = np.argsort(cells, kind="stable")
    found = []
    names = cells[order]
    first = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    for start, end in zip(first.tolist(), [*first[1:].tolist(), len(names)]):
        # Many supervoxels share a cell.
        inside = b"".join([stored[n][: len(stored[n]) // 3] for n in order[start:end].tolist()])
        found.append(blocks_in(int(names[start]), np.unique(np.frombuffer(inside, "<u2"))))
    return distinct(np.concatenate(found), limits)


def distinct(blocks: Keys, limits: tuple[Triple, Triple] | None) -> Keys:
    """Packed blocks within limits, ascending, each once."""
    if limits is not None:
        low, high = ([n + REACH for n in corner] for corner in limits)
        blocks = blocks[_within(blocks, low, high)]
    return np.unique(blocks)


def _within(keys: Keys, low: Sequence[int], high: Sequence[int]) -> NDArray[np.bool_]:
    """Which packed triples have all fields between two corners, both inside."""
    keep = np.ones(len(keys), bool)
    for shift, first, last in zip((42, 21, 0), low, high):
        field = (keys >> np.uint64(shift) & np.uint64((1 << 21) - 1)).astype(np.int64)
        keep &= (field >= first) & (field <= last)
    return keep


def coarser(blocks: Keys, scale: int) -> Keys:
    """The blocks of a scale over packed blocks of scale 0; ascending, each once."""
    return np.unique(pack_blocks(unpack_blocks(blocks) >> scale)) if scale else blocks


class Sparse(msgspec.Struct, frozen=True):
    """The voxels of a body or supervoxel at one scale, to be read page by page."""

    volume: LabelVolume
    labels: Labels
    """Ascending."""
    blocks: Keys
    """Those that may have such voxels; packed, ascending."""
    box: Box | None
    """Voxels outside are left out; None for no bounds."""
    splits: int

    @property
    def view(self) -> View:
        """What it is read from."""
        return self.volume.view

    def labels_now(self) -> Labels:
        """The supervoxels, and those that were made of them by splits since they were looked up."""
        later = instance_of(self.view).splits(self.view.version)[self.splits :]
        if not later:
            return self.labels
        known = set(self.labels.tolist())
        mended: dict[int, set[bool]] = {}
        for _, supervoxel, remain, split in later:
            if remain == split:
                # Parts that were put together again by an undo.
                mended.setdefault(split, set()).add(supervoxel in known)
            if supervoxel in known:
                known.update((remain, split))
        if any(len(found) == 2 for found in mended.values()):
            raise Unavailable("what is read was put together with other voxels meanwhile; try again")
        return np.array(sorted(known), np.uint64)

    def pages(self) -> Iterator[list[Triple]]:
        """The blocks, z, y, x, some dozens at a time."""
        for at in range(0, len(self.blocks), PAGE):
            yield triples(self.blocks[at : at + PAGE])

    async def made(self, kernel: Callable[..., T], *args: Any) -> AsyncIterator[T]:
        """What a kernel makes of each page: `kernel(blocks, labels, *args)`."""
        async for result in pipelined((self.page(names, kernel, *args) for names in self.pages()), AHEAD):
            yield result

    async def page(self, names: list[Triple], kernel: Callable[..., T], *args: Any) -> T:
        """The same of some blocks; those that are not stored are left out."""
        volume = self.volume
        found = await volume.blocks.values(names)
        # Looked up after the blocks were read: what is in them was there before.
        return await self.view.run(_made, kernel, found, volume.unpack, self.labels_now(), args)


def _made(
    kernel: Callable[..., T], found: Sequence[Stored], unpack: Unpacker, chosen: Labels, args: tuple[Any, ...]
) -> T:
    return kernel(together(found, unpack, None), chosen, *args)


def triples(blocks: Keys) -> list[Triple]:
    """Packed blocks as z, y, x."""
    return [(z, y, x) for z, y, x in unpack_blocks(blocks).tolist()]


async def find_sparse(
    view: View, label: int, *, supervoxel: bool = False, scale: int = 0, bounds: Bounds = OPEN, exact: bool = True
) -> Sparse | None:
    """The voxels of a body or supervoxel; None when its index does not exist.

    Raises `BadRequest` for a scale that the instance does not have, and for a supervoxel that was split.
    """
    instance = instance_of(view)
    if scale > instance.settings.MaxDownresLevel:
        raise BadRequest(f"scale: {instance.name} has scales up to {instance.settings.MaxDownresLevel}, got {scale}")
    size = instance.settings.block
    limits = None if bounds.open else bounds.blocks(size, scale)
    place = await find_place(view, label, supervoxel=supervoxel, limits=limits)
    if place is None:
        return None
    blocks = place.blocks
    if scale:
        blocks = coarser(blocks, scale) if len(blocks) <= INLINE else await view.run(coarser, blocks, scale)
    box = None if bounds.open or not exact else bounds.box()
    if box is not None and instance.sparse_rules.ragged:
        box = RaggedBox(box.low, box.size)
    return Sparse(instance.volume(view, scale, supervoxels=True), place.labels, blocks, box, place.splits)


def runs_of(found: labels.Blocks, chosen: Labels, box: Box | None) -> memoryview:
    """A kernel: runs as the wire has them."""
    runs = labels.runs(found, chosen, box)
    if isinstance(box, RaggedBox):
        runs = np.concatenate([runs, box.beyond(found, chosen)])
    return np.ascontiguousarray(runs).reshape(-1).view(np.uint8).data


def masks_of(found: labels.Blocks, chosen: Labels) -> bytes:
    """A kernel: blocks as format=blocks has them."""
    return labels.sparse_blocks(found, chosen)
