"""Reading of label blocks: their structure checked and laid out, voxels counted, single voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..jit import BYTES, LABELS, LONGS, OUT, TRIPLES, inner, kernel, part
from .memory import keep, load8, load16, load32, load64, ones, pick1, pick2, pick3, pointer, store64, swapped

HEAD = 16
I64 = types.int64
LAID = (BYTES, BYTES, LONGS, LONGS, LABELS)
"""The buffer; per sub-block (of all blocks, one after another): bits a voxel, where in the buffer they are, where in the
palette its labels begin; the palette."""


@inner
def pointers(data, bits, at, pal, palette):  # type: ignore[no-untyped-def]
    """LAID as pointers."""
    return pointer(data), pointer(bits), pointer(at), pointer(pal), pointer(palette)


@inner
def width_of(labels: int) -> int:
    """Bits a voxel of a sub-block with so many labels."""
    bits = 0
    while (1 << bits) < labels:
        bits += 1
    return bits


@inner
def line_of(data: Any, at: int, bits: int, line: int) -> Any:
    """The 8 voxels of line 8 * z + y of a sub-block, the first in the highest `bits` bits.

    Of 9 bits a voxel the last lacks its lowest 8: `value_of` knows.
    """
    return swapped(load64(data, at + line * bits))


@inner
def value_of(data: Any, at: int, bits: int, line: int, word: Any, x: int) -> int:
    """Voxel x of a line that `line_of` loaded."""
    if bits == 9 and x == 7:
        return ((load8(data, at + line * 9 + 7) & 1) << 8) | load8(data, at + line * 9 + 8)
    return np.int64((word >> np.uint64(64 - (x + 1) * bits)) & np.uint64((1 << bits) - 1))


@inner
def expand(data: Any, at: int, bits: int, pal: int, palette: Any, line: int, out: Any, place: int) -> None:
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
def structure(data: Any, start: int, length: int, cells: int) -> Any:
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
def lay(data, starts, lengths, cells):  # type: ignore[no-untyped-def]
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


@inner
def histogram(data: Any, at: int, bits: int, found: Any) -> None:
    """How often each value is in a sub-block's 512 voxels, into found[:2 ** bits]; `bits` is not 0."""
    if bits == 1:
        set_ = np.uint64(0)
        for word in range(8):
            set_ += ones(load64(data, at + 8 * word))
        found[1] = np.int64(set_)
        found[0] = 512 - np.int64(set_)
        return
    for k in range(1 << bits):
        found[k] = 0
    if bits == 2:
        low = np.uint64(0x5555555555555555)
        for n in range(16):
            word = load64(data, at + 8 * n)
            high, odd = (word >> np.uint64(1)) & low, word & low
            both = np.int64(ones(high & odd))
            found[3] += both
            found[2] += np.int64(ones(high)) - both
            found[1] += np.int64(ones(odd)) - both
        found[0] = 512 - found[1] - found[2] - found[3]
        return
    if bits == 3:
        low = np.uint64(0o1111111111111111 << 16)
        for n in range(32):
            # Two lines are 48 bits: 16 values.
            word = swapped(load64(data, at + 6 * n))
            a, b, c = word & low, (word >> np.uint64(1)) & low, (word >> np.uint64(2)) & low
            ab, bc = a & b, b & c
            n_ab, n_bc, n_ac, all_ = np.int64(ones(ab)), np.int64(ones(bc)), np.int64(ones(a & c)), np.int64(ones(ab & c))
            found[7] += all_
            found[3] += n_ab - all_
            found[6] += n_bc - all_
            found[5] += n_ac - all_
            found[1] += np.int64(ones(a)) - n_ab - n_ac + all_
            found[2] += np.int64(ones(b)) - n_ab - n_bc + all_
            found[4] += np.int64(ones(c)) - n_ac - n_bc + all_
        found[0] = 512 - found[1] - found[2] - found[3] - found[4] - found[5] - found[6] - found[7]
        return
    if bits == 9:
        for line in range(64):
            word = line_of(data, at, bits, line)
            for x in range(8):
                found[value_of(data, at, bits, line, word, x)] += 1
        return
    top = np.uint64(64 - bits)
    step = np.uint64(bits)
    for line in range(64):
        word = line_of(data, at, bits, line)
        for x in range(8):
            found[np.int64((word << (np.uint64(x) * step)) >> top)] += 1


@part
def tally(data: Any, start: int, length: int, cells: int, voxels: Any, first: int, found: Any) -> int:
    """Add the voxels of each entry of one block to voxels[first:], behind them those of sub-blocks without entries.

    Everything is checked.  Returns a code.
    """
    code, entries, total = structure(data, start, length, cells)
    if code:
        return code
    if entries == 1:
        voxels[first] += np.uint32(512 * cells)
        return 0
    counts = start + HEAD + 8 * entries
    index = counts + 2 * cells
    values = index + 4 * total
    for k in range(total):
        if load32(data, index + 4 * k) >= entries:
            return 4
    for cell in range(cells):
        n = load16(data, counts + 2 * cell)
        if n == 0:
            voxels[first + entries] += np.uint32(512)
        elif n == 1:
            voxels[first + load32(data, index)] += np.uint32(512)
        else:
            width = width_of(n)
            histogram(data, values, width, found)
            for k in range(n, 1 << width):
                if found[k]:
                    return 5
            for k in range(n):
                voxels[first + load32(data, index + 4 * k)] += np.uint32(found[k])
            values += 64 * width
        index += 4 * n
    return 0


@kernel(I64, BYTES, I64, I64, types.uint32[::1])
def examine(data, length, cells, voxels):  # type: ignore[no-untyped-def]
    """`tally` of one block at the buffer's begin."""
    found = np.empty(512, np.int64)
    code = tally(pointer(data), 0, length, cells, pointer(voxels), 0, pointer(found))
    keep(found)
    return code


@kernel(types.UniTuple(I64, 2), BYTES, LONGS, LONGS, I64, types.uint32[::1])
def count(data, starts, lengths, cells, voxels):  # type: ignore[no-untyped-def]
    """`tally` of many blocks: (code, block that is wrong)."""
    found = np.empty(512, np.int64)
    first = 0
    for b in range(len(starts)):
        code = tally(pointer(data), starts[b], lengths[b], cells, pointer(voxels), first, pointer(found))
        if code:
            return code, b
        first += load32(data, starts[b] + 12) + 1
    keep(found)
    return 0, 0


@kernel(types.Tuple((I64, types.uint64)), BYTES, I64, I64, I64)
def label_at(data, z, y, x):  # type: ignore[no-untyped-def]
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
def labels_at(data, bits, at, pal, palette, gz, gy, gx, number, inside, out):  # type: ignore[no-untyped-def]
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
