"""Label blocks transcoded to Neuroglancer's compressed segmentation."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import OUT, kernel, part
from .memory import pointer, store8, store16, store32, store64
from .reading import LAID, line_of, pointers, value_of

I64 = types.int64

FAR = 1 << 24
"""Words from the channel's begin that a table can lie away."""

KEPT = 1024
"""Tables of one label that are remembered, by the label's hash: most of a volume is of few labels."""


@part
def cells_of(which, gz, gy, gx, fz, fy, fx, nz, ny, nx):
    """The sub-blocks of a box of them, from (fz, fy, fx) of the grid of blocks `which` on; -1 where no block is."""
    out = np.empty(nz * ny * nx, np.int64)
    n = 0
    for z in range(fz, fz + nz):
        for y in range(fy, fy + ny):
            for x in range(fx, fx + nx):
                block = np.int64(which[z // gz, y // gy, x // gx])
                out[n] = -1 if block < 0 else ((block * gz + z % gz) * gy + y % gy) * gx + x % gx
                n += 1
    return out


@part
def written_width(bits):
    """0, 1, 2, 4, 8 or 16: the first that has room."""
    width = bits
    while width & (width - 1):
        width += 1
    return width


@part
def put_values(data, at, bits, wide, out, to):
    """A sub-block's values, `bits` each, as `wide` bits each, the first of a line in the lowest; 512 * wide bits."""
    for line in range(64):
        word = line_of(data, at, bits, line)
        if wide == 16:
            for k in range(8):
                store16(out, to + 2 * k, value_of(data, at, bits, line, word, k))
        else:
            packed = np.uint64(0)
            for k in range(8):
                packed |= np.uint64(value_of(data, at, bits, line, word, k)) << np.uint64(k * wide)
            if wide == 8:
                store64(out, to, packed)
            elif wide == 4:
                store32(out, to, np.int64(packed))
            elif wide == 2:
                store16(out, to, np.int64(packed))
            else:
                store8(out, to, np.int64(packed))
        to += wide


@kernel(
    types.Tuple((I64, OUT)), *LAID, I64, I64, I64, types.Array(types.int32, 3, "C", readonly=True),
    I64, I64, I64, I64, I64, I64,
)  # fmt: skip
def google(data, bits, at, pal, palette, gz, gy, gx, which, fz, fy, fx, nz, ny, nx):
    """(code, words) of nz x ny x nx sub-blocks from sub-block (fz, fy, fx) of the blocks `which` on."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    # First the heads, then all tables, then all values: so tables, which the format can only number so far, are near.
    cells = cells_of(which, gz, gy, gx, fz, fy, fx, nz, ny, nx)
    known = np.empty(KEPT, np.uint64)
    where = np.full(KEPT, -1, np.int64)
    tables = np.empty(nz * ny * nx, np.int64)
    table = 2 * nz * ny * nx
    words = 0
    for n in range(nz * ny * nx):
        cell = cells[n]
        width = 0 if cell < 0 else np.int64(bits[cell])
        tables[n] = table
        if width == 0:
            label = np.uint64(0) if cell < 0 else palette[pal[cell]]
            place = np.int64((label * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(54))
            if where[place] >= 0 and known[place] == label:
                tables[n] = where[place]
                continue
            known[place], where[place] = label, table
        if table >= FAR:
            return 1, np.empty(0, np.uint8)
        table += 2 << width
        words += 16 * written_width(width)
    found = np.empty(4 * (1 + table + words), np.uint8)
    out = pointer(found)
    store32(out, 0, 1)
    value = table
    for n in range(nz * ny * nx):
        cell = cells[n]
        width = 0 if cell < 0 else np.int64(bits[cell])
        to = 4 + 4 * tables[n]
        if width == 0:
            store32(out, 4 + 8 * n, tables[n])
            store32(out, 8 + 8 * n, 0)
            store64(out, to, np.uint64(0) if cell < 0 else palette[pal[cell]])
            continue
        wide = written_width(width)
        store32(out, 4 + 8 * n, tables[n] | wide << 24)
        store32(out, 8 + 8 * n, value)
        for k in range(1 << width):
            store64(out, to + 8 * k, palette[pal[cell] + k])
        put_values(data, at[cell], width, wide, out, 4 + 4 * value)
        value += 16 * wide
    return 0, found
