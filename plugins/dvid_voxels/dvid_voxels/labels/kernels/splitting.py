"""One label of a block cut in two by runs."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import OUT, kernel, part
from .eights import fill8
from .memory import keep, pointer
from .packing import begin, finish, grown, is_full, pack_of, put, put_solid
from .reading import LAID, expand, pointers

I64 = types.int64


@part
def marked(rows, gz, gy, gx, mask):
    """Set the voxels of runs in `mask`, one byte per line of each sub-block, first voxel lowest: (code, row)."""
    for row in range(len(rows)):
        x, y, z, length = np.int64(rows[row, 0]), np.int64(rows[row, 1]), np.int64(rows[row, 2]), np.int64(rows[row, 3])
        if length <= 0 or x < 0 or y < 0 or z < 0 or x + length > 8 * gx or y >= 8 * gy or z >= 8 * gz:
            return 1, row
        first = (((z >> 3) * gy + (y >> 3)) * gx) * 64 + (z & 7) * 8 + (y & 7)
        for place in range(x, x + length):
            at = first + 64 * (place >> 3)
            bit = np.uint8(1 << (place & 7))
            if mask[at] & bit:
                return 2, row
            mask[at] |= bit
    return 0, 0


@part
def row_at(rows, z, y, x):
    """The run that has a voxel."""
    for row in range(len(rows)):
        if rows[row, 2] == z and rows[row, 1] == y and rows[row, 0] <= x < rows[row, 0] + rows[row, 3]:
            return row
    return 0


@kernel(
    types.Tuple((I64, I64, I64, OUT)), *LAID, I64, I64, I64,
    types.uint64, types.Array(types.int32, 2, "C", readonly=True), types.uint64, types.uint64, types.uint64,
)  # fmt: skip
def split(data, bits, at, pal, palette, gz, gy, gx, label, rows, inside, outside, key):
    """(code, row that is wrong, voxels that became `inside`, the block)."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    none = np.empty(0, np.uint8)
    marks = np.zeros(64 * cells, np.uint8)
    code, row = marked(rows, gz, gy, gx, marks)
    mask = pointer(marks)
    if code:
        return code, row, 0, none
    room = begin(cells)
    pack = pack_of(room, key)
    scratch = np.empty(512, np.uint64)
    voxels = pointer(scratch)
    moved = 0
    for cell in range(cells):
        if is_full(pack):
            room = grown(room, key)
            pack = pack_of(room, key)
        width = np.int64(bits[cell])
        touched = False
        for line in range(64 * cell, 64 * cell + 64):
            touched = touched or mask[line] != 0
        if width == 0:
            if not touched:
                one = palette[pal[cell]]
                put_solid(pack, outside if one == label else one)
                continue
            for line in range(64):
                fill8(voxels, 64 * line, palette[pal[cell]])
        else:
            for line in range(64):
                expand(data, at[cell], width, pal[cell], palette, line, voxels, 64 * line)
        for k in range(512):
            chosen = (mask[64 * cell + (k >> 3)] >> (k & 7)) & 1
            if voxels[k] == label:
                voxels[k] = inside if chosen else outside
                moved += chosen
            elif chosen:
                z, y, x = cell // (gy * gx) * 8, cell // gx % gy * 8, cell % gx * 8
                return 3, row_at(rows, z + (k >> 6), y + (k >> 3 & 7), x + (k & 7)), 0, none
        put(pack, voxels)
    keep(marks)
    keep(scratch)
    return 0, 0, moved, finish(room, gz, gy, gx)
