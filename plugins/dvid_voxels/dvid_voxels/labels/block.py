"""One label block: checked, inflated, made, looked into, edited."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..geometry import Triple
from .blocks import Blocks, padded, refuse
from .form import BadBlock, Buffer, Counts, grid_of, is_solid, relabel, size_of, table
from .loading import KEY, kernels
from .runs import BadRuns, Runs

TRUSTED = 1 << 24
"""Voxels of the largest block that is taken on its own word for its size.

Functions that need room for a block take its size, which it must have; without it they trust the block so far.
"""


def check(block: Buffer, size: Triple) -> None:
    """Raise `BadBlock` unless `block` is a whole label block of exactly `size` (z, y, x) voxels.

    Checked are: the grid, the table's length against the bytes and the voxels, the entries of each sub-block, the
    exact length of the whole, each index into the table, each voxel's value.  What passes is read by every function.
    """
    examine(block, size)


def examine(block: Buffer, size: Triple) -> Counts:
    """`check` and `counts` in one pass over the block.  Raises `BadBlock`."""
    gz, gy, gx = grid_of(size)
    if size_of(block) != size:
        raise BadBlock(f"a block of {_xyz(size_of(block))} voxels, where {_xyz(size)} are expected")
    labels = table(block)
    if len(labels) > prod(size):
        raise BadBlock(f"a label table of {len(labels)} entries for {prod(size)} voxels")
    # One more for the sub-blocks that have no entries, which are 0.
    voxels = np.zeros(len(labels) + 1, np.uint32)
    refuse(kernels().examine(padded(block), memoryview(block).nbytes, gz * gy * gx, voxels))
    return _joined(np.append(labels, np.uint64(0)), voxels)


def counts(block: Buffer) -> Counts:
    """How many voxels each label has: labels ascending, each once, none without voxels.

    Counted on the compressed form.  Raises `BadBlock`, also where a voxel's value is out of its sub-block's range.
    """
    return examine(block, size_of(block))


def _joined(labels: NDArray[np.uint64], voxels: NDArray[np.uint32]) -> Counts:
    """Entries of the same label added up, those without voxels left out."""
    used = np.flatnonzero(voxels)
    labels, voxels = labels[used], voxels[used]
    order = np.argsort(labels)
    labels, voxels = labels[order], voxels[order]
    new = np.empty(len(labels), bool)
    new[0] = True
    np.not_equal(labels[1:], labels[:-1], out=new[1:])
    if new.all():
        return Counts(labels, voxels)
    first = np.flatnonzero(new)
    return Counts(labels[first], np.add.reduceat(voxels, first, dtype=np.uint32))


def decode(block: Buffer, size: Triple | None = None) -> NDArray[np.uint64]:
    """The voxels: an array (z, y, x) of uint64, C order.

    `size` is what the block must have; without it the block's own word counts, up to 16 million voxels.  Raises
    `BadBlock`.
    """
    found = _alone(block, size)
    out = np.empty(found.size, np.uint64)
    found.fill(out, (0, 0, 0))
    return out


def _alone(block: Buffer, size: Triple | None) -> Blocks:
    """One block at 0, 0, 0."""
    if size is None:
        size = size_of(block)
        if prod(size) > TRUSTED:
            raise BadBlock(f"a block that says it has {_xyz(size)} voxels, more than {TRUSTED}")
    return Blocks.of([((0, 0, 0), block)], size)


def decode_into(block: Buffer, out: NDArray[np.uint64], offset: Triple, size: Triple | None = None) -> None:
    """Write the voxels into `out`, a writable array (z, y, x) of uint64 with any strides, their first at `offset`.

    What lies outside of `out` is left out; offsets may be negative.  `size` as for `decode`.  Raises `BadBlock` before
    anything is written.
    """
    z, y, x = offset
    _alone(block, size).fill(out, (-z, -y, -x))


def encode(array: NDArray[np.uint64]) -> bytes:
    """The block of `array`, (z, y, x) of uint64 with any strides, sides multiples of 8; it is read in place.

    Packed as the reference does: a sub-block's entries are in the order in which they first appear, x fastest, and it
    has at least one; so is the table, over the sub-blocks.  An array of one label is a solid block.  Raises ValueError
    for other types or sizes.
    """
    size = _checked_array(array, "the array")
    grid = grid_of(size)
    return _encode(array, (0, 0, 0), grid)


def encode_blocks(array: NDArray[np.uint64], size: Triple) -> list[bytes]:
    """The blocks of `size` (z, y, x) of a box whose voxels are `array`, (z, y, x) of uint64 with any strides.

    Its sides are multiples of the block's.  The blocks come x fastest, then y, then z: as `Box.points` of the box of
    blocks.  Raises ValueError.
    """
    box = _checked_array(array, "the box")
    grid = grid_of(size)
    if any(side % part for side, part in zip(box, size)):
        raise ValueError(f"a box of {_xyz(box)} voxels does not consist of blocks of {_xyz(size)}")
    nz, ny, nx = (side // part for side, part in zip(box, size))
    return [
        _encode(array, (z * size[0], y * size[1], x * size[2]), grid)
        for z in range(nz)
        for y in range(ny)
        for x in range(nx)
    ]


def _checked_array(array: NDArray[np.uint64], what: str) -> Triple:
    if array.dtype != np.dtype("<u8") or array.ndim != 3 or not array.size:
        raise ValueError(f"{what} is {array.ndim}-dimensional of {array.dtype}, not (z, y, x) of uint64 with voxels")
    z, y, x = array.shape
    return z, y, x


def _encode(array: NDArray[np.uint64], at: Triple, grid: Triple) -> bytes:
    packed: NDArray[np.uint8] = kernels().encode(array, *at, *grid, KEY)
    return packed.tobytes()


def label_at(block: Buffer, z: int, y: int, x: int) -> int:
    """The label of the voxel (z, y, x) of the block: a microsecond, on the compressed form.

    Raises IndexError outside of the block, `BadBlock` where the block is broken on the way to the voxel.
    """
    depth, rows, width = size_of(block)
    if not (0 <= z < depth and 0 <= y < rows and 0 <= x < width):
        raise IndexError(f"({z}, {y}, {x}) is outside of a block of (z, y, x) {depth, rows, width}")
    data = np.frombuffer(block, np.uint8)
    code, label = kernels().label_at(data, z, y, x)
    refuse(code)
    return int(label)


def labels_at(block: Buffer, points: NDArray[np.integer], size: Triple | None = None) -> NDArray[np.uint64]:
    """The labels, (n,) of uint64, of `points`, (n, 3) of z, y, x within the block.

    `size` as for `decode`.  Raises IndexError for a point outside, `BadBlock`.  For points of many blocks see
    `Blocks.labels_at`.
    """
    found = _alone(block, size)
    if len(points) and (np.min(points) < 0 or np.any(points >= np.array(found.size))):
        raise IndexError(f"a point is outside of a block of (z, y, x) {found.size}")
    return found.labels_at(points)


def replace(block: Buffer, names: Mapping[int, int], size: Triple | None = None) -> bytes:
    """The block with all voxels of a label old as names[old], for all at once: swapping two works.

    Only the table changes, unless two labels become one or 0 is replaced: then the block is packed anew (`compact`), so
    that the result has each label once.  Labels that the block does not have are ignored.  `size` as for `decode`.
    Raises `BadBlock`.
    """
    if 0 in names:
        # Voxels may be 0 without an entry that says so.
        block = compact(block, size)
    old = table(block)
    if names.keys().isdisjoint(old.tolist()):
        return bytes(block)
    new = np.array([names.get(label, label) for label in old.tolist()], np.uint64)
    changed = relabel(block, new)
    return compact(changed, size) if len(np.unique(new)) < len(new) else changed


def compact(block: Buffer, size: Triple | None = None) -> bytes:
    """The same voxels as `encode` packs them: each label once in the table, none unused, solid where it is solid.

    `size` as for `decode`.  Raises `BadBlock`.
    """
    found = _alone(block, size)
    if is_solid(block):
        return bytes(block)
    packed: NDArray[np.uint8] = kernels().compact(*found.laid(), *found.grid, KEY)
    return packed.tobytes()


def split(
    block: Buffer, label: int, runs: Runs, inside: int, outside: int, size: Triple | None = None
) -> tuple[bytes, int]:
    """Cut `label` in two: its voxels under `runs` become `inside`, its others `outside`.

    `runs` are int32 (n, 4) of x, y, z, length, coordinates within the block, as `runs_by_block` gives them.  Returns
    the new block and how many voxels are `inside`.  `size` as for `decode`.  Raises `BadRuns` where a run leaves the
    block, overlaps another or has a voxel that is not of `label`; `BadBlock`.
    """
    found = _alone(block, size)
    rows = np.ascontiguousarray(runs, np.int32)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise ValueError(f"runs are (n, 4), not {rows.shape}")
    code, row, moved, packed = kernels().split(
        *found.laid(), *found.grid, np.uint64(label), rows, np.uint64(inside), np.uint64(outside), KEY
    )
    if code:
        x, y, z, n = rows[row].tolist()
        why = ("leaves the block or has no voxel", "overlaps another", f"has a voxel that is not of label {label}")
        raise BadRuns(f"the run of {n} voxels at {x}, {y}, {z} of its block {why[code - 1]}")
    return packed.tobytes(), int(moved)


def _xyz(size: Triple) -> str:
    return " x ".join(map(str, reversed(size)))
