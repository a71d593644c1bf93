"""The layout of NanoVDB index grids as DVID exports them: heads, root and nodes; see `nanovdb_grid` for what they hold.

A file is the grid's head, the tree's head, the root with a tile for each upper node, upper nodes, lower nodes, leaves;
LE, without gaps.  A leaf has 8^3 voxels, a lower node 16^3 leaves, an upper node 32^3 lower nodes; nodes of each level
are sorted by z, y, x.  Unlike in files that NanoVDB itself writes, children and voxels are numbered x fastest, and
voxels from 0; the root's tiles have keys of three int32.  Arrays of coordinates are x, y, z here, as in the file.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..labels import LEAF

Points = NDArray[np.int64]
"""(n, 3) of x, y, z."""

GRID_HEAD, TREE_HEAD, ROOT, TILE = 672, 64, 96, 32
"""Bytes of the parts that come first."""

LEAF_BITS, LOWER_BITS, UPPER_BITS = 3, 7, 12
"""Side of a node's cube of voxels, as a power of 2."""

VERSION = 32 << 21 | 8 << 10
INDEX_GRID, ON_INDEX = 8, 20
NAME = 256


def _node(slots: int) -> np.dtype[Any]:
    return np.dtype([
        ("low", "<i4", 3), ("high", "<i4", 3), ("flags", "<u8"), ("values", "<u8", slots // 64),
        ("children", "<u8", slots // 64), ("statistics", "<u8", 4), ("table", "<i8", slots),
    ])  # fmt: skip


LOWER, UPPER = _node(16**3), _node(32**3)


class Counts(msgspec.Struct, frozen=True):
    """How many there are of each kind."""

    uppers: int
    lowers: int
    leaves: int
    voxels: int

    @property
    def uppers_at(self) -> int:
        """Where the upper nodes begin, from the beginning of the file."""
        return GRID_HEAD + TREE_HEAD + ROOT + TILE * self.uppers

    @property
    def lowers_at(self) -> int:
        """Where the lower nodes begin."""
        return self.uppers_at + UPPER.itemsize * self.uppers

    @property
    def leaves_at(self) -> int:
        """Where the leaves begin."""
        return self.lowers_at + LOWER.itemsize * self.lowers

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return self.leaves_at + LEAF.itemsize * self.leaves


def pack_heads(
    counts: Counts, name: str, size: tuple[float, float, float], low: Points, high: Points, origins: Points
) -> bytes:
    """All before the upper nodes, whose first voxels are `origins`.

    `size` is that of a voxel, `low` and `high` are the corners of all voxels, both inside.
    """
    sides = np.array(size, "<f4").astype("<f8")
    matrix = [*np.diag(sides).reshape(-1), *np.diag(1 / sides).reshape(-1), 0.0, 0.0, 0.0, 1.0]
    world = np.concatenate([low * sides, (high + 1) * sides, sides])
    head = b"".join([
        b"NanoVDB0", struct.pack("<Q4IQ", 0, VERSION, 0, 0, 1, counts.nbytes),
        name.encode(errors="replace")[:NAME].ljust(NAME, b"\0"),
        struct.pack("<22f", *matrix), struct.pack("<22d", *matrix), world.astype("<f8").tobytes(),
        struct.pack("<2Iq2IQQ", INDEX_GRID, ON_INDEX, 0, 0, 0, counts.voxels, 0),
    ])  # fmt: skip
    tree = struct.pack(
        "<4q6IQ",
        counts.leaves_at - GRID_HEAD, counts.lowers_at - GRID_HEAD, counts.uppers_at - GRID_HEAD, TREE_HEAD,
        counts.leaves, counts.lowers, counts.uppers, 0, 0, 0, counts.voxels,
    )  # fmt: skip
    root = struct.pack("<6iI40x28x", *low.tolist(), *high.tolist(), counts.uppers)
    first = ROOT + TILE * counts.uppers
    tiles = [struct.pack("<3iqIQ", *o, first + n * UPPER.itemsize, 0, 0) for n, o in enumerate(origins.tolist())]
    return b"".join([head, tree, root, *tiles])


def slots_of(points: Points, child_bits: int, bits: int) -> NDArray[np.int64]:
    """For nodes whose first voxels are `points` their number within their parents, x fastest."""
    side = bits - child_bits
    x, y, z = (points >> child_bits & ((1 << side) - 1)).T
    found: NDArray[np.int64] = z << 2 * side | y << side | x
    return found


def pack_nodes(
    kind: np.dtype[Any], low: Points, high: Points, parents: NDArray[Any], slots: NDArray[Any], distances: NDArray[Any]
) -> bytes:
    """Nodes with the corners of their voxels; child i is number slots[i] of node parents[i], so many bytes on."""
    out = np.zeros(len(low), kind)
    out["low"], out["high"] = low, high
    out["table"][parents, slots] = distances
    np.bitwise_or.at(out["children"], (parents, slots >> 6), np.uint64(1) << (slots & 63).astype(np.uint64))
    out["values"] = out["children"]
    return out.tobytes()
