"""Label blocks written from voxels, sub-block by sub-block."""

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import OUT, VOLUME, inner, kernel
from .memory import load64, store8, store16, store32, store64, swapped
from .reading import HEAD, LAID, expand, width_of

I64 = types.int64

# What a block under way consists of (made by `begin`):
#   state    [labels in the table, entries written, bytes of bits written, sub-blocks written]
#   counts   entries of each sub-block
#   index    all sub-blocks' entries
#   values   all sub-blocks' bits
#   scratch  512 table entries of the sub-block's labels, then 512 voxels as such
# and, replaced when they grow (`grown`):
#   table    the labels
#   slots    an open hash of the table: entry + 1, 0 where free
#   seen     per table entry: the sub-block that used it last, and as what


@inner
def begin(cells):  # type: ignore[no-untyped-def]
    state = np.zeros(4, np.int64)
    counts = np.empty(cells, np.uint16)
    index = np.empty(512 * cells, np.uint32)
    values = np.empty(576 * cells + 16, np.uint8)
    return state, counts, index, values, np.empty(1024, np.int64)


@inner
def first_table():  # type: ignore[no-untyped-def]
    return np.empty(1024, np.uint64), np.zeros(4096, np.int32), np.full((1024, 2), -1, np.int64)


@inner
def hashed(label, key):  # type: ignore[no-untyped-def]
    """Bits of a label that nobody can foresee who does not know the key: else labels could be made that all collide."""
    word = (label ^ key) * np.uint64(0x9E3779B97F4A7C15)
    word ^= word >> np.uint64(32)
    word = (word + key) * np.uint64(0xD6E8FEB86659FD93)
    return word ^ (word >> np.uint64(32))


@inner
def grown(state, table, slots, seen, key):  # type: ignore[no-untyped-def]
    """The same with room for another sub-block's labels."""
    used = state[0]
    if used + 512 <= len(table):
        return table, slots, seen
    bigger = np.empty(4 * len(table), np.uint64)
    marks = np.full((4 * len(table), 2), -1, np.int64)
    bigger[:used] = table[:used]
    marks[:used] = seen[:used]
    places = np.zeros(4 * len(slots), np.int32)
    mask = len(places) - 1
    for entry in range(used):
        place = np.int64(hashed(bigger[entry], key) & np.uint64(mask))
        while places[place]:
            place = (place + 1) & mask
        places[place] = entry + 1
    return bigger, places, marks


@inner
def entry_of(label, state, table, slots, key):  # type: ignore[no-untyped-def]
    """The table's entry of a label, made where there is none."""
    mask = len(slots) - 1
    place = np.int64(hashed(label, key) & np.uint64(mask))
    while True:
        entry = np.int64(slots[place]) - 1
        if entry < 0:
            entry = state[0]
            state[0] = entry + 1
            slots[place] = entry + 1
            table[entry] = label
            return entry
        if table[entry] == label:
            return entry
        place = (place + 1) & mask


@inner
def put_solid(label, state, counts, index, table, slots, key):  # type: ignore[no-untyped-def]
    """The next sub-block: all voxels are `label`."""
    cell, to = state[3], state[1]
    if to and counts[cell - 1] == 1 and table[index[to - 1]] == label:
        entry = np.int64(index[to - 1])
    else:
        entry = entry_of(label, state, table, slots, key)
    counts[cell] = 1
    index[to] = entry
    state[1] = to + 1
    state[3] = cell + 1


@inner
def put(voxels, state, counts, index, values, scratch, table, slots, seen, key):  # type: ignore[no-untyped-def]
    """The next sub-block, from its 512 labels, x fastest; `grown` came before."""
    other = np.uint64(0)
    last = voxels[0]
    for k in range(512):
        other |= voxels[k] ^ last
    if other == 0:
        put_solid(last, state, counts, index, table, slots, key)
        return
    cell, to = state[3], state[1]
    # The two labels that came last are tried first: at a border they alternate from line to line.
    entry = entry_of(last, state, table, slots, key)
    index[to] = entry
    seen[entry, 0], seen[entry, 1] = cell, 0
    n = 1
    value = 0
    before, old = last, 0
    for k in range(512):
        label = voxels[k]
        if label != last:
            if label == before:
                before, old, last, value = last, value, before, old
            else:
                before, old = last, value
                entry = entry_of(label, state, table, slots, key)
                if seen[entry, 0] != cell:
                    seen[entry, 0], seen[entry, 1] = cell, n
                    index[to + n] = entry
                    n += 1
                value = seen[entry, 1]
                last = label
        scratch[k] = value
    counts[cell] = n
    state[1] = to + n
    state[2] = put_values(scratch, width_of(n), values, state[2])
    state[3] = cell + 1


@inner
def put_values(scratch, bits, values, at):  # type: ignore[no-untyped-def]
    """512 values as bits; returns where they end.  Each line is stored as a whole word, the next one writes over it."""
    for line in range(64):
        word = np.uint64(0)
        first = 8 * line
        if bits < 9:
            for x in range(8):
                word |= np.uint64(scratch[first + x]) << np.uint64(64 - (x + 1) * bits)
            store64(values, at, swapped(word))
        else:
            for x in range(7):
                word |= np.uint64(scratch[first + x]) << np.uint64(64 - (x + 1) * 9)
            word |= np.uint64(scratch[first + 7]) >> np.uint64(8)
            store64(values, at, swapped(word))
            store8(values, at + 8, scratch[first + 7] & 255)
        at += bits
    return at


@inner
def finish(gz, gy, gx, state, counts, index, values, table):  # type: ignore[no-untyped-def]
    """The block."""
    entries = state[0]
    if entries == 1:
        out = np.empty(HEAD + 8, np.uint8)
    else:
        out = np.empty(HEAD + 8 * entries + 2 * state[3] + 4 * state[1] + state[2], np.uint8)
    store32(out, 0, gx)
    store32(out, 4, gy)
    store32(out, 8, gz)
    store32(out, 12, entries)
    at = HEAD
    for k in range(entries):
        store64(out, at + 8 * k, table[k])
    if entries == 1:
        return out
    at += 8 * entries
    for k in range(state[3]):
        store16(out, at + 2 * k, np.int64(counts[k]))
    at += 2 * state[3]
    for k in range(state[1]):
        store32(out, at + 4 * k, np.int64(index[k]))
    at += 4 * state[1]
    out[at:] = values[: state[2]]
    return out


@kernel(OUT, VOLUME, I64, I64, I64, I64, I64, I64, types.uint64)
def encode(source, oz, oy, ox, gz, gy, gx, key):  # type: ignore[no-untyped-def]
    """The block whose first voxel is (oz, oy, ox) of `source`."""
    sz, sy, sx = source.strides
    state, counts, index, values, scratch = begin(gz * gy * gx)
    table, slots, seen = first_table()
    voxels = np.empty(512, np.uint64)
    for cz in range(gz):
        for cy in range(gy):
            for cx in range(gx):
                corner = (oz + 8 * cz) * sz + (oy + 8 * cy) * sy + (ox + 8 * cx) * sx
                for line in range(64):
                    place = corner + (line >> 3) * sz + (line & 7) * sy
                    if sx == 8:
                        for x in range(8):
                            voxels[8 * line + x] = load64(source, place + 8 * x)
                    else:
                        for x in range(8):
                            voxels[8 * line + x] = load64(source, place + sx * x)
                table, slots, seen = grown(state, table, slots, seen, key)
                put(voxels, state, counts, index, values, scratch, table, slots, seen, key)
    return finish(gz, gy, gx, state, counts, index, values, table)


@kernel(OUT, *LAID, I64, I64, I64, types.uint64)
def compact(data, bits, at, pal, palette, gz, gy, gx, key):  # type: ignore[no-untyped-def]
    """The one block that is laid out, packed anew."""
    cells = gz * gy * gx
    state, counts, index, values, scratch = begin(cells)
    table, slots, seen = first_table()
    voxels = np.empty(512, np.uint64)
    for cell in range(cells):
        table, slots, seen = grown(state, table, slots, seen, key)
        width = np.int64(bits[cell])
        if width == 0:
            put_solid(palette[pal[cell]], state, counts, index, table, slots, key)
            continue
        for line in range(64):
            expand(data, at[cell], width, pal[cell], palette, line, voxels, 8 * line)
        put(voxels, state, counts, index, values, scratch, table, slots, seen, key)
    return finish(gz, gy, gx, state, counts, index, values, table)
