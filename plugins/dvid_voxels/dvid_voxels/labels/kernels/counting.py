"""Voxels of each label counted, on the compressed form; the only kernels that look at every value."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import BYTES, LONGS, inner, kernel, part
from .memory import keep, load16, load32, load64, ones, pointer, swapped
from .reading import HEAD, line_of, structure, value_of, width_of

I64 = types.int64


@inner
def histogram(data, at, bits, found):
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
            n_ab, n_bc, n_ac, all_ = (
                np.int64(ones(ab)),
                np.int64(ones(bc)),
                np.int64(ones(a & c)),
                np.int64(ones(ab & c)),
            )
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
def tally(data, start, length, cells, voxels, first, found):
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
def examine(data, length, cells, voxels):
    """`tally` of one block at the buffer's begin."""
    found = np.empty(512, np.int64)
    code = tally(pointer(data), 0, length, cells, pointer(voxels), 0, pointer(found))
    keep(found)
    return code


@kernel(types.UniTuple(I64, 2), BYTES, LONGS, LONGS, I64, types.uint32[::1])
def count(data, starts, lengths, cells, voxels):
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
