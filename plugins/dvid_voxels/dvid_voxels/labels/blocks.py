"""Many label blocks of one scale, laid side by side for kernels that read them together."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Triple
from .form import HEAD, BadBlock, Buffer, grid_of
from .loading import kernels

Longs: TypeAlias = NDArray[np.int64]

PAD = 16
"""Kernels load 8 bytes at a time, up to so many behind what they need."""

_WHY = {
    1: "its sub-blocks' counts are cut off",
    2: "a sub-block has more than 512 labels",
    3: "its length is not what its sub-blocks need",
    4: "a sub-block's label index is behind the end of the label table",
    5: "a voxel's value is behind the end of its sub-block's labels",
}


def refuse(code: int, where: str = "a label block") -> None:
    """Raise `BadBlock` for what a kernel found wrong."""
    if code:
        raise BadBlock(f"{where}: {_WHY[code]}")


def padded(block: Buffer) -> NDArray[np.uint8]:
    """A copy with room behind it that kernels may read."""
    return np.frombuffer(b"".join((block, bytes(PAD))), np.uint8)


class BlockCounts(NamedTuple):
    """Voxels of each label in each of many blocks."""

    block: Longs
    """(n,) which block, a row of `Blocks.at`; ascending."""
    labels: NDArray[np.uint64]
    """(n,) ascending within a block, each once."""
    voxels: NDArray[np.uint32]
    """(n,), none 0."""


class Blocks:
    """Label blocks with their block coordinates, in one buffer.  A value: `mapped` makes another.

    Read by `assemble`, `lz4_of`, `google`, `runs`, `sparse_blocks` and the methods below.  Where no block is, label 0
    is.
    """

    def __init__(self, size: Triple, at: Longs, data: NDArray[np.uint8], starts: Longs, lengths: Longs) -> None:
        """For `of` and `mapped`: `data` is padded, each start a multiple of 8.  Raises `BadBlock`."""
        self.size = size
        """Voxels of each block, z, y, x."""
        self.grid = grid_of(size)
        """Sub-blocks of each block, z, y, x."""
        self.at = at
        """Block coordinates, (n, 3) of z, y, x, ascending."""
        self._data, self._starts, self._lengths = data, starts, lengths
        self._laid: tuple[Any, ...] | None = None
        words = data.view("<u4")[(starts // 4)[:, None] + np.arange(4)]
        entries = words[:, 3].astype(np.int64)
        right = (words[:, :3] == self.grid[::-1]).all(axis=1) & (lengths >= HEAD.size + 8)
        right &= (entries > 0) & (HEAD.size + 8 * entries <= lengths)
        right &= (entries > 1) | (lengths == HEAD.size + 8)
        if not right.all():
            place = tuple(at[np.argmin(right)].tolist())
            raise BadBlock(f"the block (z, y, x) {place}: no label block of (z, y, x) {size} with its table")
        self.entries: Longs = entries
        """(n,) entries of each block's table."""

    @classmethod
    def of(cls, found: Iterable[tuple[Triple, Buffer]], size: Triple) -> Blocks:
        """Blocks at block coordinates (z, y, x) in any order; of several at one place the last counts.

        Every block has `size` (z, y, x) voxels.  Raises `BadBlock` where a head or a table is wrong; the rest is looked
        at when it is read.
        """
        by_place = dict(found)
        places = sorted(by_place)
        parts: list[Buffer] = []
        lengths = np.empty(len(places), np.int64)
        for n, place in enumerate(places):
            block = by_place[place]
            lengths[n] = length = memoryview(block).nbytes
            parts += (block, bytes(-length % 8))
        parts.append(bytes(PAD))
        starts = np.zeros(len(places), np.int64)
        np.cumsum(-(-lengths[:-1] // 8) * 8, out=starts[1:])
        at = np.array(places, np.int64).reshape(-1, 3)
        return cls(size, at, np.frombuffer(b"".join(parts), np.uint8), starts, lengths)

    def __len__(self) -> int:
        return len(self.at)

    @property
    def box(self) -> Box:
        """The least box of blocks, in block coordinates, that has them all; empty without blocks."""
        if not len(self):
            return Box((0, 0, 0), (0, 0, 0))
        low, high = self.at.min(axis=0).tolist(), (self.at.max(axis=0) + 1).tolist()
        return Box.between(tuple(low), tuple(high))

    def __getitem__(self, n: int) -> bytes:
        """The n-th block, at `self.at[n]`, as bytes."""
        start = int(self._starts[n])
        return self._data[start : start + int(self._lengths[n])].tobytes()

    def tables(self) -> NDArray[np.uint64]:
        """All tables one after another, (sum of `entries`,) of uint64; a copy.  Block n's are entries[:n].sum() on."""
        found: NDArray[np.uint64] = self._data.view("<u8")[self._places()]
        return found

    def mapped(self, tables: NDArray[np.uint64]) -> Blocks:
        """The same blocks with other tables, in the form of `tables()`: how a mapping is applied."""
        places = self._places()
        if tables.shape != places.shape:
            raise ValueError(f"the tables have {len(places)} entries, the new ones {tables.shape}")
        data = self._data.copy()
        data.view("<u8")[places] = tables
        return Blocks(self.size, self.at, data, self._starts, self._lengths)

    def _places(self) -> Longs:
        ends = np.cumsum(self.entries)
        first = (self._starts + HEAD.size) // 8 - (ends - self.entries)
        return np.repeat(first, self.entries) + np.arange(ends[-1] if len(ends) else 0)

    def counts(self) -> BlockCounts:
        """How many voxels each label has in each block, without inflating.  Raises `BadBlock`, as `check` does."""
        # Behind each block's entries one for its sub-blocks that have none, which are 0.
        voxels = np.zeros(int(self.entries.sum()) + len(self), np.uint32)
        code, n = kernels().count(self._data, self._starts, self._lengths, prod(self.grid), voxels)
        self._refuse(code, n)
        used = np.flatnonzero(voxels)
        block = np.repeat(np.arange(len(self)), self.entries + 1)[used]
        labels, voxels = np.insert(self.tables(), np.cumsum(self.entries), 0)[used], voxels[used]
        order = np.lexsort((labels, block))
        block, labels, voxels = block[order], labels[order], voxels[order]
        new = np.ones(len(order), bool)
        np.not_equal(labels[1:], labels[:-1], out=new[1:])
        new[1:] |= block[1:] != block[:-1]
        first = np.flatnonzero(new)
        if len(first) < len(order):
            voxels = np.add.reduceat(voxels, first, dtype=np.uint32)
        return BlockCounts(block[first], labels[first], voxels)

    def labels_at(self, points: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
        """The labels, (n,) of uint64, of `points`, (n, 3) of z, y, x in voxels of this scale, any order and sign.

        0 where no block is.  Raises `BadBlock`.
        """
        wanted = np.asarray(points, np.int64).reshape(-1, 3)
        blocks, inside = np.divmod(wanted, self.size)
        return self._labels(self._find(blocks), inside)

    def _labels(self, number: Longs, inside: Longs) -> NDArray[np.uint64]:
        out = np.zeros(len(number), np.uint64)
        if len(self):
            kernels().labels_at(*self.laid(), *self.grid, number, np.ascontiguousarray(inside), out)
        return out

    def _find(self, blocks: Longs) -> Longs:
        """For each of (n, 3) block coordinates the row of `at` that has it, or -1."""
        if not len(self):
            return np.full(len(blocks), -1, np.int64)
        box = self.box
        outside = ((blocks < box.low) | (blocks >= box.high)).any(axis=1)
        # Both sides numbered within the box; where that has no room in 64 bits the coordinates are ranked first.
        if box.count < 2**62:
            have, want = (((a[:, 0] - box.low[0]) * box.size[1] + a[:, 1] - box.low[1]) * box.size[2]
                          + a[:, 2] - box.low[2] for a in (self.at, blocks))  # fmt: skip
        else:
            axes = [np.unique(self.at[:, axis]) for axis in range(3)]
            ranks = [[np.searchsorted(axis, a[:, n]) for n, axis in enumerate(axes)] for a in (self.at, blocks)]
            for n, axis in enumerate(axes):
                outside |= axis[np.minimum(ranks[1][n], len(axis) - 1)] != blocks[:, n]
            have, want = ((z * len(axes[1]) + y) * len(axes[2]) + x for z, y, x in ranks)
        want[outside] = -1
        number = np.minimum(np.searchsorted(have, want), len(have) - 1)
        return np.where(~outside & (have[number] == want), number, -1).astype(np.int64)

    def which(self, box: Box) -> NDArray[np.int32]:
        """For a box of blocks, (z, y, x), the row of `at` that each is, or -1: an array (z, y, x)."""
        out = np.full(box.size, -1, np.int32)
        inside = ((self.at >= box.low) & (self.at < box.high)).all(axis=1)
        z, y, x = (self.at[inside] - box.low).T
        out[z, y, x] = np.flatnonzero(inside)
        return out

    def fill(self, out: NDArray[np.uint64], low: Triple) -> None:
        """Write the voxels of all blocks into `out`, a writable array (z, y, x) of uint64 with any strides.

        `out` is the box whose first voxel is `low` (z, y, x); what is outside of it is left out, what has no block is
        not written.  Raises `BadBlock` before anything is written.
        """
        if out.dtype != np.dtype("<u8") or out.ndim != 3 or not out.flags.writeable:
            raise ValueError(f"{out.ndim}-dimensional of {out.dtype}, not a writable array (z, y, x) of uint64")
        if len(self) and out.size:
            kernels().fill(*self.laid(), *self.grid, self.at * self.size - low, out)

    def laid(self) -> tuple[Any, ...]:
        """For kernels: the buffer, and per sub-block its bits a voxel, where they are, and where its labels are in one
        palette; the palette, with 2 ** bits entries for each.  Raises `BadBlock`."""
        if self._laid is None:
            code, n, *found = kernels().lay(self._data, self._starts, self._lengths, prod(self.grid))
            self._refuse(code, n)
            self._laid = (self._data, *found)
        return self._laid

    def _refuse(self, code: int, n: int) -> None:
        if code:
            refuse(code, f"the block (z, y, x) {tuple(self.at[n].tolist())}")
