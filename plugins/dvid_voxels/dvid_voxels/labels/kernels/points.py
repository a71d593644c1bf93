"""Labels of single voxels."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import BYTES, LONGS, TRIPLES, kernel
from .memory import load8, load16, load32, load64, pointer
from .reading import HEAD, LAID, line_of, pointers, value_of, width_of

I64 = types.int64


@kernel(types.Tuple((I64, types.uint64)), BYTES, I64, I64, I64)
def label_at(data, z, y, x):
    """(code, label) of a voxel inside of the block; `data` is the block without room behind it."""
    length = len(data)
    data = pointer(data)
    gx, gy, gz = load32(data, 0), load32(data, 4), load32(data, 8)
    entries = load32(data, 12)
    if entries == 1:
        return 0, load64(data, HEAD)
    cells = gx * gy * gz
    wanted = ((z >> 3) * gy + (y >> 3)) * gx + (x >> 3)
    counts = HEAD + 8 * entries
    if counts + 2 * cells > length:
        return 1, np.uint64(0)
    index = counts + 2 * cells
    before = 0
    nbits = 0
    for cell in range(wanted):
        n = load16(data, counts + 2 * cell)
        before += n
        nbits += width_of(n)
    n = load16(data, counts + 2 * wanted)
    if n == 0:
        return 0, np.uint64(0)
    if n > 512:
        return 2, np.uint64(0)
    value = 0
    if n > 1:
        total = before + n
        for cell in range(wanted + 1, cells):
            total += load16(data, counts + 2 * cell)
        bits = width_of(n)
        bit = (((z & 7) * 8 + (y & 7)) * 8 + (x & 7)) * bits
        at = index + 4 * total + 64 * nbits + (bit >> 3)
        if index + 4 * total + 64 * nbits + 64 * bits > length:
            return 3, np.uint64(0)
        # At most two bytes hold a value: 7 + 9 bits; the last value ends with its byte.
        word = load8(data, at) << 8
        if (bit & 7) + bits > 8:
            word |= load8(data, at + 1)
        value = (word >> (16 - (bit & 7) - bits)) & ((1 << bits) - 1)
        if value >= n:
            return 5, np.uint64(0)
    place = index + 4 * (before + value)
    if place + 4 > length:
        return 3, np.uint64(0)
    entry = load32(data, place)
    if entry >= entries:
        return 4, np.uint64(0)
    return 0, load64(data, HEAD + 8 * entry)


@kernel(types.void, *LAID, I64, I64, I64, LONGS, TRIPLES, types.uint64[::1])
def labels_at(data, bits, at, pal, palette, gz, gy, gx, number, inside, out):
    """The label of voxel `inside` (z, y, x) of block `number` for each; where that is -1, `out` stays."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    for k in range(len(number)):
        if number[k] < 0:
            continue
        z, y, x = inside[k, 0], inside[k, 1], inside[k, 2]
        cell = number[k] * cells + ((z >> 3) * gy + (y >> 3)) * gx + (x >> 3)
        width = np.int64(bits[cell])
        value = 0
        if width:
            line = (z & 7) * 8 + (y & 7)
            value = value_of(data, at[cell], width, line, line_of(data, at[cell], width, line), x & 7)
        out[k] = palette[pal[cell] + value]
