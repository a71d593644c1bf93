"""Reading of label blocks: their structure checked and laid out, voxels counted, single voxels."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import BYTES, LABELS, LONGS, OUT, inner, kernel, part
from .eights import pick1, pick2, pick3
from .memory import load8, load16, load32, load64, pointer, store64, swapped

HEAD = 16
I64 = types.int64
LAID = (BYTES, BYTES, LONGS, LONGS, LABELS)
"""The buffer; per sub-block (of all blocks, one after another): bits a voxel, where in the buffer they are, where in
the palette its labels begin; the palette."""


@inner
def pointers(data, bits, at, pal, palette):
    """LAID as pointers."""
    return pointer(data), pointer(bits), pointer(at), pointer(pal), pointer(palette)


@inner
def width_of(labels):
    """Bits a voxel of a sub-block with so many labels."""
    bits = 0
    while (1 << bits) < labels:
        bits += 1
    return bits


@inner
def line_of(data, at, bits, line):
    """The 8 voxels of line 8 * z + y of a sub-block, the first in the highest `bits` bits.

    Of 9 bits a voxel the last lacks its lowest 8: `value_of` knows.
    """
    return swapped(load64(data, at + line * bits))


@inner
def value_of(data, at, bits, line, word, x):
    """Voxel x of a line that `line_of` loaded."""
    if bits == 9 and x == 7:
        return ((load8(data, at + line * 9 + 7) & 1) << 8) | load8(data, at + line * 9 + 8)
    return np.int64((word >> np.uint64(64 - (x + 1) * bits)) & np.uint64((1 << bits) - 1))


@inner
def expand(data, at, bits, pal, palette, line, out, place):
    """The 8 labels of a line to byte `place` of `out`; `bits` is not 0."""
    word = line_of(data, at, bits, line)
    if bits == 1:
        pick1(out, place, word, palette, pal)
    elif bits == 2:
        pick2(out, place, word, palette, pal)
    elif bits == 3:
        pick3(out, place, word, palette, pal)
    elif bits < 9:
        top, step = np.uint64(64 - bits), np.uint64(bits)
        for x in range(8):
            store64(out, place + 8 * x, palette[pal + np.int64((word << (np.uint64(x) * step)) >> top)])
    else:
        for x in range(8):
            store64(out, place + 8 * x, palette[pal + value_of(data, at, bits, line, word, x)])


@part
def structure(data, start, length, cells):
    """Whether the sections of the block at `start` fit its length: (code, entries, labels of all sub-blocks).

    The head and the table are known to be there.
    """
    entries = load32(data, start + 12)
    if entries == 1:
        return (0 if length == HEAD + 8 else 3), entries, 0
    at = start + HEAD + 8 * entries
    end = start + length
    if at + 2 * cells > end:
        return 1, entries, 0
    total = 0
    nbits = 0
    for cell in range(cells):
        n = load16(data, at + 2 * cell)
        if n > 512:
            return 2, entries, 0
        total += n
        nbits += width_of(n)
    if at + 2 * cells + 4 * total + 64 * nbits != end:
        return 3, entries, 0
    return 0, entries, total


@kernel(types.Tuple((I64, I64, OUT, types.int64[::1], types.int64[::1], types.uint64[::1])), BYTES, LONGS, LONGS, I64)
def lay(data, starts, lengths, cells):
    """(code, block that is wrong, and LAID without the buffer)."""
    buffer = pointer(data)
    blocks = len(starts)
    bits = np.empty(0, np.uint8)
    at = np.empty(0, np.int64)
    pal = np.empty(0, np.int64)
    palette = np.empty(0, np.uint64)
    for b in range(blocks):
        code, entries, _ = structure(buffer, starts[b], lengths[b], cells)
        if code:
            return code, b, bits, at, pal, palette
    # Labels stand in the palette once per sub-block, with room for every value that the bits can have.
    bits = np.zeros(blocks * cells, np.uint8)
    at = np.empty(blocks * cells, np.int64)
    pal = np.empty(blocks * cells, np.int64)
    room = 0
    for b in range(blocks):
        entries = load32(buffer, starts[b] + 12)
        if entries == 1:
            room += 1
            continue
        counts = starts[b] + HEAD + 8 * entries
        for cell in range(cells):
            width = width_of(load16(buffer, counts + 2 * cell))
            bits[b * cells + cell] = width
            room += 1 << width
    palette = np.zeros(room, np.uint64)
    to = 0
    for b in range(blocks):
        entries = load32(buffer, starts[b] + 12)
        labels = starts[b] + HEAD
        first = b * cells
        if entries == 1:
            palette[to] = load64(buffer, labels)
            for cell in range(cells):
                pal[first + cell] = to
                at[first + cell] = 0
            to += 1
            continue
        counts = labels + 8 * entries
        index = counts + 2 * cells
        total = 0
        for cell in range(cells):
            total += load16(buffer, counts + 2 * cell)
        values = index + 4 * total
        for cell in range(cells):
            n = load16(buffer, counts + 2 * cell)
            for k in range(n):
                entry = load32(buffer, index + 4 * k)
                if entry >= entries:
                    return 4, b, bits, at, pal, palette
                palette[to + k] = load64(buffer, labels + 8 * entry)
            width = np.int64(bits[first + cell])
            pal[first + cell] = to
            at[first + cell] = values
            to += 1 << width
            index += 4 * n
            values += 64 * width
    return 0, 0, bits, at, pal, palette
