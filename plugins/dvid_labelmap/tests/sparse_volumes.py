"""Sparse volumes as clients get them, read as masks (z, y, x) of a box whose first voxel is `origin`."""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .segmentation import SIDE

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]


def voxels_of_runs(data: bytes, shape: Triple, origin: Triple) -> Array:
    """Runs as a mask; they must be disjoint and inside."""
    x, y, z, n = np.frombuffer(data, "<i4").reshape(-1, 4).astype(np.int64).T
    z, y, x = z - origin[0], y - origin[1], x - origin[2]
    assert (n > 0).all() and (x >= 0).all() and (x + n <= shape[2]).all(), "a run leaves the volume"
    edges = np.zeros((shape[0], shape[1], shape[2] + 1), np.int32)
    assert ((z >= 0) & (z < shape[0]) & (y >= 0) & (y < shape[1])).all(), "a run leaves the volume"
    np.add.at(edges, (z, y, x), 1)
    np.add.at(edges, (z, y, x + n), -1)
    depth = edges.cumsum(axis=2)[:, :, :-1]
    assert (depth <= 1).all(), "runs overlap"
    found: Array = depth == 1
    return found


def voxels_of_rles(data: bytes, shape: Triple, origin: Triple) -> Array:
    """The same with its head; no bytes at all mean no voxels."""
    if not data:
        return np.zeros(shape, bool)
    assert data[:8] == b"\0\3\0\0\0\0\0\0"
    assert struct.unpack_from("<I", data, 8)[0] * 16 + 12 == len(data)
    return voxels_of_runs(data[12:], shape, origin)


def voxels_of_masks(data: bytes, label: int, shape: Triple, origin: Triple) -> Array:
    """format=blocks as a mask."""
    out = np.zeros(shape, bool)
    if not data:
        return out
    assert struct.unpack_from("<3IQ", data) == (SIDE // 8, SIDE // 8, SIDE // 8, label)
    at, last = 20, None
    while at < len(data):
        x, y, z = struct.unpack_from("<3i", data, at)
        flag, at = data[at + 12], at + 13
        assert last is None or (z, y, x) > last, "blocks are out of order"
        last = z, y, x
        block = np.full((SIDE, SIDE, SIDE), flag == 1)
        if flag == 2:
            for sz, sy, sx in np.ndindex(*(3 * [SIDE // 8])):
                sub, at = data[at], at + 1
                part = block[8 * sz : 8 * sz + 8, 8 * sy : 8 * sy + 8, 8 * sx : 8 * sx + 8]
                part[:] = sub == 1
                if sub == 2:
                    bits = np.unpackbits(np.frombuffer(data, np.uint8, 64, at), bitorder="little")
                    part[:] = bits.reshape(8, 8, 8)
                    at += 64
        places = np.argwhere(block) + np.array([z, y, x]) - np.array(origin)
        if len(places):
            assert (places >= 0).all() and (places < shape).all(), "a mask leaves the volume"
            out[tuple(places.T)] = True
    return out


def runs_of_mask(inside: Array, origin: Triple) -> bytes:
    """A sparse volume as it is posted."""
    edges = np.diff(np.pad(inside, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=2)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    runs = np.concatenate([(starts + origin)[:, ::-1], (ends - starts)[:, 2:]], axis=1)
    return struct.pack("<4B2I", 0, 3, 0, 0, 0, len(runs)) + runs.astype("<i4").tobytes()
