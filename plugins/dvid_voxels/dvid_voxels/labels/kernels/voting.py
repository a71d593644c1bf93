"""Blocks of the next scale, voted from their eight children."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import LONGS, OUT, kernel, part
from .eights import fill8, vote8
from .memory import keep, pointer
from .packing import begin, finish, grown, is_full, pack_of, put, put_solid
from .reading import LAID, expand, pointers

I64 = types.int64


@part
def vote(data, at, bits, pal, palette, labels, voxels, corner):
    """A sub-block's votes into the 4 x 4 x 4 voxels from `corner` of the parent's sub-block."""
    for line in range(64):
        expand(data, at, bits, pal, palette, line, labels, 64 * line)
    for z in range(4):
        for y in range(0, 4, 2):
            vote8(voxels, 8 * (corner + 64 * z + 8 * y), labels, 64 * (16 * z + 2 * y))


@kernel(OUT, *LAID, I64, I64, I64, LONGS, types.uint64)
def downres(data, bits, at, pal, palette, gz, gy, gx, number, key):
    """The parent of the laid-out blocks number[:8], -1 for those not touched, which keep what block number[8] has."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    room = begin(cells)
    pack = pack_of(room, key)
    scratch = np.empty(1024, np.uint64)
    voxels, labels = pointer(scratch[:512]), pointer(scratch[512:])
    below = np.empty(8, np.int64)
    old = number[8]
    for cell in range(cells):
        pz, py, px = cell // (gy * gx), cell // gx % gy, cell % gx
        if is_full(pack):
            room = grown(room, key)
            pack = pack_of(room, key)
        absent = 0
        same = True
        for k in range(8):
            z, y, x = 2 * pz + (k >> 2), 2 * py + (k >> 1 & 1), 2 * px + (k & 1)
            child = number[4 * (z // gz) + 2 * (y // gy) + x // gx]
            below[k] = -1
            if child < 0:
                absent += 1
                continue
            below[k] = child * cells + ((z % gz) * gy + y % gy) * gx + x % gx
            same = same and not absent and bits[below[k]] == 0 and palette[pal[below[k]]] == palette[pal[below[0]]]
        if absent:
            keeper = old * cells + cell
            if old < 0 or bits[keeper] == 0:
                label = np.uint64(0) if old < 0 else palette[pal[keeper]]
                if absent == 8:
                    put_solid(pack, label)
                    continue
                for line in range(64):
                    fill8(voxels, 64 * line, label)
            else:
                for line in range(64):
                    expand(data, at[keeper], np.int64(bits[keeper]), pal[keeper], palette, line, voxels, 64 * line)
        elif same:
            put_solid(pack, palette[pal[below[0]]])
            continue
        for k in range(8):
            if below[k] < 0:
                continue
            corner = 256 * (k >> 2) + 32 * (k >> 1 & 1) + 4 * (k & 1)
            width = np.int64(bits[below[k]])
            if width:
                vote(data, at[below[k]], width, pal[below[k]], palette, labels, voxels, corner)
                continue
            label = palette[pal[below[k]]]
            for z in range(4):
                for y in range(4):
                    for x in range(4):
                        voxels[corner + 64 * z + 8 * y + x] = label
        put(pack, voxels)
    keep(scratch)
    return finish(room, gz, gy, gx)
