"""A reader of NanoVDB index grids, written from the description of the layout alone."""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[Any]

HEADS, UPPER, LOWER, LEAF = 672 + 64 + 96, 270400, 33856, 96


def read_grid(data: bytes) -> Points:
    """The voxels of a grid, (n, 3) of z, y, x in order; what its parts say of themselves must be right."""
    assert data[:8] == b"NanoVDB0"
    size, voxels = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<Q", data, 656)[0]
    assert size == len(data)
    *distances, root = struct.unpack_from("<4q", data, 672)
    leaves, lowers, uppers = struct.unpack_from("<3I", data, 704)
    first_upper = HEADS + 32 * uppers
    first_lower = first_upper + UPPER * uppers
    first_leaf = first_lower + LOWER * lowers
    assert [672 + d for d in distances] == [first_leaf, first_lower, first_upper]
    assert root == 64 and first_leaf + LEAF * leaves == size
    at: dict[int, list[int]] = {12: [], 7: [], 3: []}
    found, last = [], None
    for n in range(uppers):
        x, y, z, distance = struct.unpack_from("<3iq", data, HEADS + 32 * n)
        assert last is None or (z, y, x) > last, "tiles are out of order"
        last = z, y, x
        found.append(_node(data, 736 + distance, (z, y, x), 12, at))
    assert at[12] == [first_upper + UPPER * n for n in range(uppers)]
    assert sorted(at[7]) == [first_lower + LOWER * n for n in range(lowers)]
    assert sorted(at[3]) == [first_leaf + LEAF * n for n in range(leaves)]
    _check_leaves(data, first_leaf, leaves, voxels)
    points = np.concatenate(found)
    assert len(points) == voxels
    low, high = points.min(axis=0)[::-1], points.max(axis=0)[::-1]
    assert list(struct.unpack_from("<6i", data, 736)) == [*low, *high]
    side = np.frombuffer(data, "<f8", 3, 608)
    assert np.frombuffer(data, "<f8", 6, 560).tolist() == [*(low * side), *((high + 1) * side)]
    return points[np.lexsort(points.T[::-1])]


def _check_leaves(data: bytes, first: int, leaves: int, voxels: int) -> None:
    before, last = 0, None
    for n in range(leaves):
        at = first + LEAF * n
        place = tuple(c & ~7 for c in struct.unpack_from("<3i", data, at)[::-1])
        assert last is None or place > last, "leaves are out of order"
        last = place
        words = np.frombuffer(data, "<u8", 8, at + 16).tolist()
        sums = np.cumsum([word.bit_count() for word in words]).tolist()
        told = sum(s % 512 << 9 * i for i, s in enumerate(sums[:7]))
        assert struct.unpack_from("<2Q", data, at + 80) == (before, told)
        before += sums[-1]
    assert before == voxels


def _node(data: bytes, at: int, first: tuple[int, ...], bits: int, seen: dict[int, list[int]]) -> Points:
    """The voxels of a node whose cube begins at `first`."""
    seen[bits].append(at)
    if bits == 3:
        cube = np.unpackbits(np.frombuffer(data, np.uint8, 64, at + 16), bitorder="little").reshape(8, 8, 8)
        points = np.argwhere(cube) + first
        low = struct.unpack_from("<3i", data, at)[::-1]
        assert points.min(axis=0).tolist() == list(low)
        assert (points.max(axis=0) - low)[::-1].tolist() == list(data[at + 12 : at + 15])
        return points
    side, child = {12: (5, 7), 7: (4, 3)}[bits]
    slots = 1 << 3 * side
    values, children = (np.frombuffer(data, np.uint8, slots // 8, at + 32 + k * slots // 8) for k in (0, 1))
    assert (values == children).all()
    table = np.frombuffer(data, "<i8", slots, at + 32 + slots // 4 + 32)
    used = np.flatnonzero(np.unpackbits(children, bitorder="little"))
    assert (np.flatnonzero(table) == used).all()
    parts = []
    for slot in used.tolist():
        place = slot >> 2 * side, slot >> side & ((1 << side) - 1), slot & ((1 << side) - 1)
        inner = tuple(n + (c << child) for n, c in zip(first, place))
        parts.append(_node(data, at + int(table[slot]), inner, child, seen))
    points = np.concatenate(parts)
    assert list(struct.unpack_from("<6i", data, at)) == [*points.min(axis=0)[::-1], *points.max(axis=0)[::-1]]
    return points
