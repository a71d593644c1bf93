"""`Body`: the stored head of a label index, and the segments that a large index is cut into.

A small index is one value: its rows (block, supervoxel, voxels) beside what was last done to it.  A large one has
*segments*, keys of their own for each supervoxel and cell of 16 x 16 x 16 blocks; its head lists them.  A segment is
named by its *owner*, a random number drawn when it was made, so that merge, cleave and renumber move entries between
heads and leave segments alone, and so that two bodies may list the same supervoxel, as posted indices do.

    head      u8 kind (0 rows, 1 segments) | u8 flags | u16 0 | u32 n | u64 voxels | u64 mutation id        LE
              flags & 1: u16 and UTF-8 of time, user, app
              flags & 2: u32 k, k x u64 packed blocks, k x u64 their surface mutation ids
    rows      n x u64 packed blocks | n x u64 supervoxels | n x u32 voxels, by block, then supervoxel
    segments  u32 size and an LZ4 block of n x u64 supervoxels | owners | cells | voxels, by supervoxel, then cell

    segment   n x u16 block within the cell | n x u32 voxels

Functions are kernels.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from .packing import Keys, blocks_in, cells_of

HEAD = struct.Struct("<BBHIQQ")
SMALL = 192
"""Rows of an index that is one value: about 4 KiB."""

Labels = NDArray[np.uint64]
Counts = NDArray[np.uint32]


class Rows(msgspec.Struct, frozen=True):
    """Voxels of supervoxels in blocks; three columns of one length."""

    blocks: Keys
    supervoxels: Labels
    voxels: Counts

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def total(self) -> int:
        """All voxels."""
        return int(self.voxels.sum(dtype=np.uint64))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.blocks[which], self.supervoxels[which], self.voxels[which])

    def sorted(self) -> Rows:
        """By block, then supervoxel."""
        return self.take(np.lexsort((self.supervoxels, self.blocks)))

    def replaced(self, newer: Rows) -> Rows:
        """These with the rows of `newer` in the place of those for the same block and supervoxel; sorted, none is 0."""
        both = join_rows([newer, self])
        order = np.lexsort((both.supervoxels, both.blocks))
        b, s = both.blocks[order], both.supervoxels[order]
        first = np.ones(len(b), bool)
        first[1:] = (b[1:] != b[:-1]) | (s[1:] != s[:-1])
        first &= both.voxels[order] > 0
        return both.take(order[first])


NO_ROWS = Rows(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint32))


def join_rows(parts: list[Rows]) -> Rows:
    """All rows, in their order."""
    if not parts:
        return NO_ROWS
    return Rows(
        np.concatenate([p.blocks for p in parts]),
        np.concatenate([p.supervoxels for p in parts]),
        np.concatenate([p.voxels for p in parts]),
    )


class Segments(msgspec.Struct, frozen=True):
    """The list of an index's segments; four columns of one length, sorted by supervoxel, then cell."""

    supervoxels: Labels
    owners: Labels
    cells: Keys
    voxels: Labels

    def __len__(self) -> int:
        return len(self.supervoxels)

    def sorted(self) -> Segments:
        """By supervoxel, then cell."""
        return self.take(np.lexsort((self.cells, self.supervoxels)))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Segments:
        """Some of them."""
        return Segments(self.supervoxels[which], self.owners[which], self.cells[which], self.voxels[which])


class Touch(msgspec.Struct, frozen=True):
    """Who changed a body last: by a mutation, or by posting its index."""

    mutation_id: int = 0
    time: str = ""
    user: str = ""
    app: str = ""


UNTOUCHED = Touch()


class Body(msgspec.Struct, frozen=True):
    """One index: `rows` when it is small, else `segments`."""

    rows: Rows | None = None
    segments: Segments | None = None
    touch: Touch = UNTOUCHED
    surfaces: tuple[Keys, Labels] | None = None
    """Packed blocks and their surface mutation ids, as they were posted."""

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it."""
        part = self.rows if self.rows is not None else self.segments
        return part is None or not len(part)

    @property
    def entries(self) -> int:
        """Rows or segments."""
        return len(self.rows if self.rows is not None else self.segments or NO_ROWS)

    @property
    def voxels(self) -> int:
        """All voxels."""
        if self.rows is not None:
            return self.rows.total
        return 0 if self.segments is None else int(self.segments.voxels.sum())

    @property
    def supervoxels(self) -> Labels:
        """Its supervoxels, ascending."""
        part = self.rows if self.rows is not None else self.segments
        return np.empty(0, np.uint64) if part is None else np.unique(part.supervoxels)

    def sizes(self) -> tuple[Labels, Labels]:
        """Its supervoxels, ascending, and their voxels."""
        part = self.rows if self.rows is not None else self.segments
        if part is None or not len(part):
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        found, places = np.unique(part.supervoxels, return_inverse=True)
        voxels = np.zeros(len(found), np.uint64)
        np.add.at(voxels, places, part.voxels.astype(np.uint64))
        return found, voxels

    def pack(self) -> bytes:
        """The stored form."""
        texts = (self.touch.time, self.touch.user, self.touch.app)
        flags = any(texts) | (self.surfaces is not None) << 1
        part = self.rows if self.rows is not None else self.segments
        assert part is not None
        out = [HEAD.pack(self.rows is None, flags, 0, len(part), self.voxels, self.touch.mutation_id)]
        if flags & 1:
            for text in texts:
                raw = text.encode(errors="replace")[:65535]
                out += [struct.pack("<H", len(raw)), raw]
        if self.surfaces is not None:
            blocks, surfaces = self.surfaces
            out += [struct.pack("<I", len(blocks)), blocks.tobytes(), surfaces.tobytes()]
        if self.rows is not None:
            out += [self.rows.blocks.tobytes(), self.rows.supervoxels.tobytes(), self.rows.voxels.tobytes()]
        elif self.segments is not None:
            s = self.segments
            raw = b"".join(c.tobytes() for c in (s.supervoxels, s.owners, s.cells, s.voxels))
            out.append(bytes(cramjam.lz4.compress_block(raw, store_size=True)))
        return b"".join(out)


def head_of(data: bytes) -> tuple[int, int]:
    """The voxels and the last mutation id of a stored head; its first 24 bytes are enough."""
    _, _, _, _, voxels, mutation_id = HEAD.unpack_from(data)
    return voxels, mutation_id


def read_body(data: bytes) -> Body:
    """A body from its stored form."""
    kind, flags, _, n, _, mutation_id = HEAD.unpack_from(data)
    at = HEAD.size
    texts = ["", "", ""]
    if flags & 1:
        for i in range(3):
            [size] = struct.unpack_from("<H", data, at)
            texts[i] = data[at + 2 : at + 2 + size].decode(errors="replace")
            at += 2 + size
    touch = Touch(mutation_id, *texts) if flags & 1 or mutation_id else UNTOUCHED
    surfaces = None
    if flags & 2:
        [k] = struct.unpack_from("<I", data, at)
        surfaces = np.frombuffer(data, "<u8", k, at + 4), np.frombuffer(data, "<u8", k, at + 4 + 8 * k)
        at += 4 + 16 * k
    if kind == 0:
        blocks, supervoxels = np.frombuffer(data, "<u8", n, at), np.frombuffer(data, "<u8", n, at + 8 * n)
        rows = Rows(blocks, supervoxels, np.frombuffer(data, "<u4", n, at + 16 * n))
        return Body(rows=rows, touch=touch, surfaces=surfaces)
    raw = cramjam.lz4.decompress_block(data[at:])
    columns = np.frombuffer(bytes(raw), "<u8").reshape(4, n)
    return Body(segments=Segments(*columns), touch=touch, surfaces=surfaces)


def pack_segment(inside: NDArray[np.uint16], voxels: Counts) -> bytes:
    """The stored form of a segment."""
    return inside.astype("<u2").tobytes() + voxels.astype("<u4").tobytes()


def read_segment(data: bytes, supervoxel: int, cell: int) -> Rows:
    """The rows of a segment."""
    n = len(data) // 6
    blocks = blocks_in(cell, np.frombuffer(data, "<u2", n))
    return Rows(blocks, np.full(n, supervoxel, np.uint64), np.frombuffer(data, "<u4", n, 2 * n))


def cut(rows: Rows, owner: int) -> tuple[Segments, list[bytes]]:
    """Segments for all rows, and their stored forms in the same order."""
    cells, inside = cells_of(rows.blocks)
    order = np.lexsort((inside, cells, rows.supervoxels))
    s, c, i, v = rows.supervoxels[order], cells[order], inside[order], rows.voxels[order]
    first = np.ones(len(s), bool)
    first[1:] = (s[1:] != s[:-1]) | (c[1:] != c[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(v.astype(np.uint64), starts) if len(starts) else np.empty(0, np.uint64)
    ends = [*starts[1:].tolist(), len(s)]
    stored = [pack_segment(i[a:b], v[a:b]) for a, b in zip(starts.tolist(), ends)]
    return Segments(s[starts], np.full(len(starts), owner, np.uint64), c[starts], sums), stored


def has_supervoxel(data: bytes, supervoxel: int) -> bool:
    """Whether a stored body lists the supervoxel."""
    kind, flags, _, n, _, _ = HEAD.unpack_from(data)
    if kind == 0 and not flags:
        start, stop = HEAD.size + 8 * n, HEAD.size + 16 * n
        wanted = supervoxel.to_bytes(8, "little")
        at = data.find(wanted, start, stop)
        while at >= 0 and (at - start) % 8:
            at = data.find(wanted, at + 1, stop)
        return at >= 0
    body = read_body(data)
    part = body.rows if body.rows is not None else body.segments
    return part is not None and bool((part.supervoxels == supervoxel).any())


def part(body: Body, supervoxels: Labels) -> tuple[Body, Body]:
    """An index without these supervoxels, and the index that they make up."""
    if body.rows is not None:
        taken = _among(body.rows.supervoxels, supervoxels)
        return msgspec.structs.replace(body, rows=body.rows.take(~taken)), Body(rows=body.rows.take(taken))
    segments = body.segments
    assert segments is not None
    taken = _among(segments.supervoxels, supervoxels)
    return msgspec.structs.replace(body, segments=segments.take(~taken)), Body(segments=segments.take(taken))


def _among(labels: Labels, wanted: Labels) -> NDArray[np.bool_]:
    return labels == wanted[0] if len(wanted) == 1 else np.isin(labels, wanted)


def parts(body: Body, groups: Sequence[Labels]) -> tuple[Body, list[Body]]:
    """An index without the supervoxels of all groups, which have none in common, and what each group makes up."""
    held = body.rows if body.rows is not None else body.segments
    assert held is not None
    names = np.concatenate(groups)
    order = np.argsort(names)
    owner = np.repeat(np.arange(len(groups)), [len(g) for g in groups])[order]
    places = np.minimum(np.searchsorted(names[order], held.supervoxels), len(names) - 1)
    found = np.where(names[order][places] == held.supervoxels, owner[places], -1)
    rows = np.argsort(found, kind="stable")
    bounds = np.searchsorted(found[rows], np.arange(len(groups) + 1)).tolist()
    out = []
    for first, last in pairwise(bounds):
        some = held.take(rows[first:last])
        out.append(Body(rows=some) if isinstance(some, Rows) else Body(segments=some))
    rest = held.take(rows[: bounds[0]])
    if isinstance(rest, Rows):
        return msgspec.structs.replace(body, rows=rest), out
    return msgspec.structs.replace(body, segments=rest), out


def join_segments(parts: list[Segments]) -> Segments:
    """All segments, by supervoxel, then cell."""
    columns = [(p.supervoxels, p.owners, p.cells, p.voxels) for p in parts if len(p)]
    if len(columns) == 1:
        return next(p for p in parts if len(p))
    return Segments(*map(np.concatenate, zip(*columns))).sorted()


def listed_twice(segments: Segments) -> NDArray[np.bool_]:
    """Which of sorted segments have the same supervoxel and cell as a neighbour."""
    same = (segments.supervoxels[1:] == segments.supervoxels[:-1]) & (segments.cells[1:] == segments.cells[:-1])
    out = np.zeros(len(segments), bool)
    out[1:] |= same
    out[:-1] |= same
    return out
