"""Label blocks the slow way, written from the description of the format alone: what the kernels are compared with."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.uint64]
Triple: TypeAlias = tuple[int, int, int]
Cell: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""A sub-block: its indices into the table, and its 512 values (none where it has at most one index)."""


def bits_for(n: int) -> int:
    return (n - 1).bit_length() if n > 1 else 0


def decode(block: bytes) -> Array:
    """The voxels (z, y, x), bit by bit as a string."""
    gx, gy, gz, entries = struct.unpack_from("<4I", block)
    table = np.frombuffer(block, "<u8", entries, 16)
    if entries == 1:
        return np.full((8 * gz, 8 * gy, 8 * gx), table[0], np.uint64)
    cells, at = gx * gy * gz, 16 + 8 * entries
    counts = struct.unpack_from(f"<{cells}H", block, at)
    index = struct.unpack_from(f"<{sum(counts)}I", block, at + 2 * cells)
    bits = "".join(f"{byte:08b}" for byte in block[at + 2 * cells + 4 * sum(counts) :])
    out = np.zeros((8 * gz, 8 * gy, 8 * gx), np.uint64)
    for cell, (cz, cy, cx) in enumerate(product(range(gz), range(gy), range(gx))):
        n = counts[cell]
        mine, index = index[:n], index[n:]
        width = bits_for(n)
        values = [int(bits[k * width : (k + 1) * width], 2) if width else 0 for k in range(512)]
        bits = bits[512 * width :]
        labels = [int(table[mine[value]]) if n else 0 for value in values]
        out[8 * cz : 8 * cz + 8, 8 * cy : 8 * cy + 8, 8 * cx : 8 * cx + 8] = np.array(labels, np.uint64).reshape(
            8, 8, 8
        )
    return out


def write(size: Triple, table: Sequence[int], cells: Sequence[Cell]) -> bytes:
    """A block of these parts, whatever they are."""
    z, y, x = (side // 8 for side in size)
    head = struct.pack("<4I", x, y, z, len(table)) + np.array(table, "<u8").tobytes()
    if len(table) == 1:
        return head
    counts = np.array([len(index) for index, _ in cells], "<u2").tobytes()
    indices = np.array([k for index, _ in cells for k in index], "<u4").tobytes()
    bits = "".join(f"{v:0{bits_for(len(i))}b}" for i, values in cells if len(i) > 1 for v in values)
    return head + counts + indices + bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


def random_block(size: Triple, rng: np.random.Generator, most: int = 12) -> bytes:
    """A valid block as nobody would write it: labels twice or unused, sub-blocks without entries, entries repeated."""
    entries = int(rng.integers(2, 2 * most))
    table = rng.choice(np.array([0, 1, 2, 3, 2**32, 2**63, 2**64 - 1], np.uint64), entries).tolist()
    cells: list[Cell] = []
    for _ in range(int(np.prod(size)) // 512):
        n = int(rng.integers(0, most))
        if rng.random() < 0.02:
            n = int(rng.choice([256, 257, 512]))
        index = rng.integers(0, entries, n).tolist()
        cells.append((index, rng.integers(0, n, 512).tolist() if n > 1 else []))
    return write(size, table, cells)


def parts(block: bytes) -> tuple[list[int], bytes, list[int], bytes]:
    """What two encodings share whatever the order of their tables: counts, bits, and the labels of all sub-blocks."""
    gx, gy, gz, entries = struct.unpack_from("<4I", block)
    table = np.frombuffer(block, "<u8", entries, 16)
    cells, at = gx * gy * gz, 16 + 8 * entries
    counts = block[at : at + 2 * cells]
    total = int(np.frombuffer(counts, "<u2").sum())
    index = np.frombuffer(block, "<u4", total, at + 2 * cells) if entries > 1 else np.zeros(1, int)
    return sorted(table.tolist()), counts, table[index].tolist(), block[at + 2 * cells + 4 * total :]


def vote(array: Array) -> Array:
    """Half the size in each direction, voted voxel by voxel."""
    depth, rows, width = (side // 2 for side in array.shape)
    out = np.zeros((depth, rows, width), np.uint64)
    for z, y, x in product(range(depth), range(rows), range(width)):
        votes = Counter(array[2 * z : 2 * z + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist())
        del votes[0]
        if votes:
            out[z, y, x] = min(votes, key=lambda label: (-votes[label], label))
    return out


def google(data: bytes, size: Triple) -> Array:
    """The voxels of one channel of compressed segmentation."""
    words = np.frombuffer(data, "<u4")
    assert words[0] == 1
    words = words[1:]
    out = np.zeros(size, np.uint64)
    grid = [side // 8 for side in size]
    for n, (z, y, x) in enumerate(product(*map(range, grid))):
        table, bits, values = int(words[2 * n]) & 0xFFFFFF, int(words[2 * n]) >> 24, int(words[2 * n + 1])
        assert bits in (0, 1, 2, 4, 8, 16)
        for k, (dz, dy, dx) in enumerate(product(range(8), range(8), range(8))):
            value = 0
            if bits:
                word = int(words[values + k * bits // 32])
                value = word >> (k * bits % 32) & (1 << bits) - 1
            low, high = (int(words[table + 2 * value + half]) for half in range(2))
            out[8 * z + dz, 8 * y + dy, 8 * x + dx] = low | high << 32
    return out


def volume(kind: str, shape: Triple, seed: int = 0) -> Array:
    """Labels of a kind: `flat`, `cells` as of a segmentation, `few` at random, `noise`."""
    rng = np.random.default_rng(seed)
    if kind == "flat":
        return np.full(shape, 7, np.uint64)
    if kind == "few":
        return rng.choice(np.array([0, 5, 2**63 + 1], np.uint64), shape)
    if kind == "noise":
        return rng.integers(0, 2**64, shape, np.uint64)
    seeds = rng.random((20, 3)) * shape
    ids = rng.integers(1, 2**64, 20, np.uint64)
    ids[:3] = 0
    place = np.stack(np.indices(shape), axis=-1)[..., None, :]
    nearest: NDArray[Any] = ((place - seeds) ** 2).sum(axis=-1).argmin(axis=-1)
    return ids[nearest]


KINDS = ("flat", "cells", "few", "noise")
SIZES: tuple[Triple, ...] = ((16, 16, 16), (32, 32, 32), (16, 32, 64), (24, 8, 40))
