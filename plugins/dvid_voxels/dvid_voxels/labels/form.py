"""One label block as bytes: its head and its table.  Nothing here needs compiled kernels."""

from __future__ import annotations

import struct
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..geometry import Triple

Buffer: TypeAlias = bytes | bytearray | memoryview
"""A block as it comes: contiguous bytes."""

SUB = 8
"""Voxels along each side of a sub-block."""

VOXELS = SUB**3

SIDE = 128
"""Sub-blocks along each side of a block, at most."""

HEAD = struct.Struct("<4I")
ONE = struct.Struct("<Q")


class BadBlock(ValueError):
    """Raised when bytes are no label block, or none of the size that is expected."""


class Counts(NamedTuple):
    """How many voxels of a block each label has."""

    labels: NDArray[np.uint64]
    """(n,) ascending, each once, 0 among them where it has voxels."""
    voxels: NDArray[np.uint32]
    """(n,), none 0; they add up to the voxels of the block."""


def grid_of(size: Triple) -> Triple:
    """Sub-blocks (z, y, x) of a block of `size` voxels.  Raises ValueError when a block cannot have that size."""
    if not all(0 < side <= SIDE * SUB and side % SUB == 0 for side in size):
        raise ValueError(f"a label block's sides are multiples of {SUB} up to {SIDE * SUB}, not {size}")
    z, y, x = size
    return z // SUB, y // SUB, x // SUB


def limit(size: Triple) -> int:
    """Bytes of the longest label block that `check` lets pass for `size` (z, y, x): the bound to unpack with."""
    cells = prod(grid_of(size))
    return HEAD.size + 8 * cells * VOXELS + cells * (2 + 4 * VOXELS + 9 * VOXELS // 8)


def size_of(block: Buffer) -> Triple:
    """The size (z, y, x) in voxels that a block says it has.  Raises `BadBlock` without a head, or for no such size."""
    gx, gy, gz, _ = _head(block)
    if not (0 < gx <= SIDE and 0 < gy <= SIDE and 0 < gz <= SIDE):
        raise BadBlock(f"a label block has 1 to {SIDE} sub-blocks a side, this one says {gx} x {gy} x {gz}")
    return gz * SUB, gy * SUB, gx * SUB


def table(block: Buffer) -> NDArray[np.uint64]:
    """The label table: (N,) of uint64, a view into `block`.  Labels may be there twice, unused, or 0."""
    entries = _head(block)[3]
    return np.frombuffer(block, "<u8", entries, HEAD.size)


def is_solid(block: Buffer) -> bool:
    """Whether the block is stored as one label: `table(block)[0]`.  (Others may happen to have one label only.)"""
    return _head(block)[3] == 1


def solid(label: int, size: Triple) -> bytes:
    """The block of `size` (z, y, x) whose voxels all are `label`: 24 bytes."""
    gz, gy, gx = grid_of(size)
    return HEAD.pack(gx, gy, gz, 1) + ONE.pack(label)


def zero(size: Triple) -> bytes:
    """The block of `size` (z, y, x) of background."""
    return solid(0, size)


def relabel(block: Buffer, new_table: NDArray[np.uint64]) -> bytes:
    """The same block with another table, (N,) of uint64 in the order of `table(block)`: a mapping, applied.

    The voxels' bits stay as they are, so labels that become one stay two entries; `compact` joins them.
    """
    entries = _head(block)[3]
    if new_table.shape != (entries,):
        raise ValueError(f"the table has {entries} entries, the new one {new_table.shape}")
    out = bytearray(block)
    np.frombuffer(out, "<u8", entries, HEAD.size)[:] = new_table
    return bytes(out)


def _head(block: Buffer) -> tuple[int, int, int, int]:
    """gx, gy, gz, N; the table is there."""
    length = memoryview(block).nbytes
    if length < HEAD.size + 8:
        raise BadBlock(f"a label block has at least {HEAD.size + 8} bytes, not {length}")
    gx, gy, gz, entries = HEAD.unpack_from(block)
    if entries == 0:
        raise BadBlock("the label table is empty")
    if HEAD.size + 8 * entries > length:
        raise BadBlock(f"a label table of {entries} entries is longer than the block's {length} bytes")
    if entries == 1 and length != HEAD.size + 8:
        raise BadBlock(f"a label block of one label has {HEAD.size + 8} bytes, its length is {length}")
    return gx, gy, gz, entries
