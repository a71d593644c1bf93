"""`Grid`: a NanoVDB index grid that grows slab by slab, its leaves in files, its lists of nodes in memory.

The leaves of a file are sorted by z, y, x, blocks hold 8 layers of them or more.  Rows of blocks come in the order of z
and y; their leaves go to a pile for each layer, where they are in order, and a slab of blocks that is complete becomes
the next layers of the file.  Of leaves nothing is kept in memory, of lower nodes 40 bytes.  Methods block.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..labels import LEAF
from .nanovdb import (
    LEAF_BITS,
    LOWER,
    LOWER_BITS,
    UPPER,
    UPPER_BITS,
    Counts,
    Points,
    pack_heads,
    pack_nodes,
    slots_of,
)
from .sparse_pile import SENT, Pile

Leaves = NDArray[Any]
"""(n,) of `labels.LEAF`."""

LAYER_MEMORY = 1 << 20
"""Bytes of a layer that are held in memory."""

CHUNK = 8192
"""Leaves that are worked on at a time."""

TOGETHER = 32
"""Lower nodes that are made at a time: a megabyte."""


class Nodes(msgspec.Struct):
    """Nodes by their first voxels, sorted by z, y, x, with the corners of the voxels they hold."""

    origins: Points
    low: Points
    high: Points

    def __len__(self) -> int:
        return len(self.origins)

    def parents(self, bits: int) -> tuple[Nodes, NDArray[np.int64]]:
        """The nodes of 2^bits voxels a side that hold these, and which holds which."""
        origins, places = np.unique((self.origins >> bits << bits)[:, ::-1], axis=0, return_inverse=True)
        places = places.reshape(-1)
        low = np.full(origins.shape, np.iinfo(np.int64).max)
        high = np.full(origins.shape, np.iinfo(np.int64).min)
        np.minimum.at(low, places, self.low)
        np.maximum.at(high, places, self.high)
        return Nodes(origins[:, ::-1], low, high), places


def nodes_of(found: Leaves) -> Nodes:
    """Leaves as nodes."""
    low = found["low"].astype(np.int64)
    return Nodes(low >> LEAF_BITS << LEAF_BITS, low, low + found["span"])


def joined(parts: list[Nodes]) -> Nodes:
    """Nodes one after another."""
    columns = ((p.origins, p.low, p.high) for p in parts)
    return Nodes(*map(np.concatenate, zip(*columns)))


def in_order(found: Leaves) -> Leaves:
    """A kernel: leaves by z, y, x."""
    x, y, z = (found["low"] >> LEAF_BITS).T
    return found[np.lexsort((x, y, z))]


class Grid:
    """Add leaves in rows, `finish`, then `pieces` are the file."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` is where files lie, None the system's place."""
        self._folder = folder
        self._leaves = Pile(folder)
        self._slab: int | None = None
        self._layers: dict[int, Pile] = {}
        self._open: list[Nodes] = []
        """Lower nodes of the layer of these that grows."""
        self._lowers: list[Nodes] = []
        """Complete layers of lower nodes."""
        self._ends: list[int] = []
        """The leaves up to the end of each of these."""
        self.voxels = 0

    def close(self) -> None:
        """Give the room back."""
        for pile in (self._leaves, *self._layers.values()):
            pile.close()

    # -- growing

    def add(self, slab: int, found: Leaves) -> None:
        """Leaves, sorted by z, y, x, of whole rows of blocks of a slab; slabs and rows come in ascending order."""
        if slab != self._slab:
            self._end_slab()
            self._slab = slab
        if not len(found):
            return
        layer = found["low"][:, 2] >> LEAF_BITS
        first = np.flatnonzero(np.append(True, layer[1:] != layer[:-1])).tolist()
        for start, end in zip(first, [*first[1:], len(found)]):
            z = int(layer[start])
            if z not in self._layers:
                self._layers[z] = Pile(self._folder, LAYER_MEMORY)
            self._layers[z].add(found[start:end].tobytes())

    def _end_slab(self) -> None:
        for z in sorted(self._layers):
            with self._layers.pop(z) as pile:
                self._end_layer(z, pile)

    def _end_layer(self, z: int, pile: Pile) -> None:
        z = z << LEAF_BITS >> LOWER_BITS
        if self._open and int(self._open[0].origins[0, 2]) >> LOWER_BITS != z:
            self._end_lowers()
        for at in range(0, pile.nbytes, CHUNK * LEAF.itemsize):
            found = np.frombuffer(pile.read(at, CHUNK * LEAF.itemsize), LEAF).copy()
            voxels = found["voxels"].copy()
            # From here on the field says how many voxels come before.
            found["voxels"] = np.cumsum(voxels) - voxels + np.uint64(self.voxels)
            self.voxels += int(voxels.sum())
            self._leaves.add(found.tobytes())
            self._open.append(nodes_of(found).parents(LOWER_BITS)[0])

    def _end_lowers(self) -> None:
        if self._open:
            self._lowers.append(joined(self._open).parents(LOWER_BITS)[0])
            self._ends.append(self._leaves.nbytes // LEAF.itemsize)
            self._open = []

    def finish(self) -> None:
        """Nothing is added any more."""
        self._end_slab()
        self._end_lowers()

    # -- the file

    def counts(self, uppers: int) -> Counts:
        """What is in it."""
        lowers = sum(map(len, self._lowers))
        return Counts(uppers, lowers, self._leaves.nbytes // LEAF.itemsize, self.voxels)

    def pieces(self, name: str, size: tuple[float, float, float]) -> tuple[int, Iterator[bytes]]:
        """Its length, and its bytes; there must be a voxel."""
        lowers = joined(self._lowers)
        uppers, places = lowers.parents(UPPER_BITS)
        counts = self.counts(len(uppers))
        heads = pack_heads(counts, name, size, uppers.low.min(axis=0), uppers.high.max(axis=0), uppers.origins)
        return counts.nbytes, self._pieces(heads, counts, lowers, uppers, places)

    def _pieces(
        self, heads: bytes, counts: Counts, lowers: Nodes, uppers: Nodes, places: NDArray[np.int64]
    ) -> Iterator[bytes]:
        yield heads
        slots = slots_of(lowers.origins, LOWER_BITS, UPPER_BITS)
        for n in range(len(uppers)):
            own = np.flatnonzero(places == n)
            at = counts.uppers_at + n * UPPER.itemsize
            distances = counts.lowers_at + own * LOWER.itemsize - at
            parents = np.zeros(len(own), np.int64)
            yield pack_nodes(UPPER, uppers.low[n : n + 1], uppers.high[n : n + 1], parents, slots[own], distances)
        before = start = 0
        for layer, end in zip(self._lowers, self._ends):
            yield from self._lower_nodes(layer, before, start, end, counts)
            before, start = before + len(layer), end
        for at in range(0, self._leaves.nbytes, SENT):
            yield self._leaves.read(at, SENT)

    def _lower_nodes(self, layer: Nodes, before: int, start: int, end: int, counts: Counts) -> Iterator[bytes]:
        """A layer of lower nodes, `before` of which come others; its leaves are `start` to `end`."""
        parents, slots = [], []
        for at in range(start, end, CHUNK):
            size = LEAF.itemsize * (min(end, at + CHUNK) - at)
            nodes = nodes_of(np.frombuffer(self._leaves.read(LEAF.itemsize * at, size), LEAF))
            parents.append(_which(layer, nodes).astype(np.uint32))
            slots.append(slots_of(nodes.origins, LEAF_BITS, LOWER_BITS).astype(np.uint16))
        parent, slot = np.concatenate(parents), np.concatenate(slots)
        order = np.argsort(parent, kind="stable")
        bounds = np.searchsorted(parent[order], np.arange(0, len(layer) + TOGETHER, TOGETHER))
        for n, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist())):
            some = order[low:high]
            first = n * TOGETHER
            own = parent[some].astype(np.int64)
            places = counts.lowers_at + (before + own) * LOWER.itemsize
            distances = counts.leaves_at + (start + some) * LEAF.itemsize - places
            part = slice(first, first + TOGETHER)
            yield pack_nodes(
                LOWER, layer.low[part], layer.high[part], own - first, slot[some].astype(np.int64), distances
            )


def _which(layer: Nodes, leaves: Nodes) -> NDArray[np.int64]:
    """Which of the lower nodes of one layer hold leaves."""

    def number(origins: Points) -> NDArray[np.int64]:
        x, y = (origins[:, axis] >> LOWER_BITS for axis in (0, 1))
        return (y << 32) + x

    return np.searchsorted(number(layer.origins), number(leaves.origins))
