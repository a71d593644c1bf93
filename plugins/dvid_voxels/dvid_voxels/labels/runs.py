"""Sparse volumes: where labels are, as runs along x or as bit masks, out of label blocks.

*Runs* are rows as the wire has them: int32 (n, 4) of x, y, z of the first voxel, length.
"""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Triple
from .blocks import Blocks
from .form import Buffer
from .loading import kernels

Runs: TypeAlias = NDArray[np.int32]

_HEAD = struct.Struct("<BBBBII")


class BadRuns(ValueError):
    """Raised when runs are cut, overlap, leave where they must be, or claim more than there is."""


def runs(blocks: Blocks, labels: NDArray[np.uint64], box: Box | None = None) -> Runs:
    """The voxels of any of `labels` (any order) in `blocks`, clipped to `box` of voxels: disjoint runs.

    Coordinates are voxels of the blocks' scale.  Rows come block by block in z, y, x order, with blocks that follow one
    another along x taken together: there runs go on from block to block.  With a mapping pass `found.mapped(...)`, or
    supervoxels as `labels`; label 0 is not for this, since where no block is has it too.  Raises `BadBlock`; ValueError
    where a coordinate does not fit 32 bits.
    """
    chosen = _chosen(blocks, labels)
    low, high = _bounds(box)
    if not len(chosen):
        return np.empty((0, 4), np.int32)
    first, last = chosen.at[0] * chosen.size, (chosen.at + 1).max(axis=0) * chosen.size
    if (chosen.at * chosen.size).min() < -(2**31) or last.max() > 2**31 or first.min() < -(2**31):
        raise ValueError("a voxel's coordinate does not fit 32 bits")
    found: Runs = kernels().runs(*chosen.laid(), *chosen.grid, chosen.at, *low, *high)
    return found


def sparse_blocks(blocks: Blocks, labels: NDArray[np.uint64], box: Box | None = None) -> bytes:
    """The voxels of any of `labels` as DVID's `sparsevol?format=blocks` has them, without its head of 20 bytes.

    Per block that has such a voxel, in z, y, x order: int32 x, y, z of its first voxel, uint8 1 where all voxels are
    meant, else 2 and per sub-block, x fastest, uint8 0, 1 or 2, after a 2 with 64 bytes of bits, x fastest, least
    significant first.  `box` (of voxels) chooses whole blocks, those that it touches.  Raises `BadBlock`.
    """
    chosen = _chosen(blocks, labels)
    if not len(chosen):
        return b""
    low, high = _bounds(box)
    first = chosen.at * chosen.size
    touched = ((first < high) & (first + chosen.size > low)).all(axis=1)
    packed: NDArray[np.uint8] = kernels().sparse_blocks(*chosen.laid(), *chosen.grid, chosen.at, touched)
    return packed.tobytes()


LEAF = np.dtype([
    ("low", "<i4", 3), ("span", "u1", 3), ("zero", "u1"), ("mask", "<u8", 8), ("voxels", "<u8"), ("sums", "<u8"),
])  # fmt: skip
"""A sub-block, with x before y before z: the least box of its voxels (first corner, sides less 1), bits, x fastest, how
many are set, and sums over the words of bits: in bits 9i to 9i+8 those of words 0 to i, for i = 0 to 6."""


def leaves(blocks: Blocks, labels: NDArray[np.uint64]) -> NDArray[Any]:
    """The voxels of any of `labels`: (n,) of `LEAF`, the sub-blocks that have one, block by block.  Raises `BadBlock`.

    They are those of a NanoVDB file, but for how the voxels are numbered.
    """
    chosen = _chosen(blocks, labels)
    if not len(chosen):
        return np.empty(0, LEAF)
    found: NDArray[Any] = kernels().leaves(*chosen.laid(), *chosen.grid, chosen.at)
    return found.view(LEAF)


def _chosen(blocks: Blocks, labels: NDArray[np.uint64]) -> Blocks:
    """The same blocks with label 1 where any of `labels` is, else 0."""
    tables = blocks.tables()
    if len(labels) == 1:
        return blocks.mapped((tables == labels[0]).astype(np.uint64))
    if not len(labels):
        return blocks.mapped(np.zeros_like(tables))
    # Faster than np.isin where there are many labels: of the two only they have to be sorted.
    ordered = labels if (labels[1:] > labels[:-1]).all() else np.unique(labels)
    places = np.minimum(np.searchsorted(ordered, tables), len(ordered) - 1)
    return blocks.mapped((ordered[places] == tables).astype(np.uint64))


def _bounds(box: Box | None) -> tuple[Triple, Triple]:
    far = 2**40
    return ((-far,) * 3, (far,) * 3) if box is None else (box.low, box.high)


def parse_runs(body: Buffer) -> Runs:
    """The runs of a sparse volume as it is posted: 12 bytes of head, whose last four say how many, then the runs.

    What follows them is ignored, as are bytes 1 to 7.  A view into `body`.  Raises `BadRuns` when byte 0 is not 0, when
    it is cut, when a length is not positive or a run ends behind 2^31 - 1.
    """
    length = memoryview(body).nbytes
    if length < _HEAD.size:
        raise BadRuns(f"a sparse volume has at least {_HEAD.size} bytes, not {length}")
    kind, *_, number = _HEAD.unpack_from(body)
    if kind != 0:
        raise BadRuns(f"a sparse volume of runs begins with byte 0, not {kind}")
    if _HEAD.size + 16 * number > length:
        raise BadRuns(f"a sparse volume of {number} runs has {_HEAD.size + 16 * number} bytes, not {length}")
    found = np.frombuffer(body, "<i4", 4 * number, _HEAD.size).reshape(-1, 4)
    wrong = (found[:, 3] <= 0) | (found[:, 0].astype(np.int64) + found[:, 3] > 2**31)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadRuns(f"run {row} of the sparse volume, x, y, z, length {found[row].tolist()}: no such run")
    return found


def count_runs(found: Runs) -> int:
    """Voxels of runs, counted with those that lie in several."""
    return int(found[:, 3].sum(dtype=np.int64))


def fit_runs(found: Runs, voxels: int) -> None:
    """Raise `BadRuns` where runs have more than `voxels` voxels: what is there bounds all that follows."""
    have = count_runs(found)
    if have > voxels:
        raise BadRuns(f"the runs have {have} voxels, more than the {voxels} that are there")


def runs_by_block(found: Runs, size: Triple) -> tuple[NDArray[np.int64], NDArray[np.int64], Runs]:
    """Runs cut at the faces of blocks of `size` (z, y, x), by block: for `split`.

    Returns (at, starts, pieces): `at` (n, 3) block coordinates z, y, x, ascending; block k has
    `pieces[starts[k]:starts[k + 1]]`, runs within the block (x, y, z, length from its first voxel), in z, y, x order.

    The number of pieces grows with the voxels, not with the runs: `fit_runs` first.
    """
    depth, rows, width = size
    x, y, z, n = found.astype(np.int64).T
    first, last = x // width, (x + n - 1) // width
    times = last - first + 1
    row = np.repeat(np.arange(len(found)), times)
    step = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    block_x = first[row] + step
    begin = np.maximum(x[row], block_x * width)
    end = np.minimum((x + n)[row], (block_x + 1) * width)
    block_y, in_y = np.divmod(y[row], rows)
    block_z, in_z = np.divmod(z[row], depth)
    in_x = begin - block_x * width
    order = np.lexsort((in_x, in_y, in_z, block_x, block_y, block_z))
    at = np.stack([block_z, block_y, block_x], axis=1)[order]
    pieces: NDArray[Any] = np.stack([in_x, in_y, in_z, end - begin], axis=1)[order].astype(np.int32)
    new = np.ones(len(at), bool)
    new[1:] = (at[1:] != at[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    return at[starts], np.append(starts, len(at)), pieces
