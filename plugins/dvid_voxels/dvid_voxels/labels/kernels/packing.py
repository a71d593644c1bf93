"""Label blocks written from voxels, sub-block by sub-block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..jit import OUT, VOLUME, inner, kernel, part
from .memory import copy8, equal8, load64, store8, store16, store32, store64, swapped, trailing
from .reading import HEAD, LAID, expand, width_of

I64 = types.int64

# What a block under way consists of (made by `begin`):
#   state    [labels in the table, entries written, bytes of bits written, sub-blocks written]
#   counts   entries of each sub-block
#   index    all sub-blocks' entries
#   values   all sub-blocks' bits
#   planes   per bit of the sub-block's values 64 lines, whose voxels have it, the first voxel lowest
# and, replaced when they grow (`grown`):
#   table    the labels
#   slots    an open hash of the table: entry + 1, 0 where free
#   seen     per table entry: the sub-block that used it last, and as what



def _spread() -> Any:
    """[b, eight voxels' bits, the first lowest]: each bit as a value of b bits, from a word's highest bit on."""
    out = np.zeros((10, 256), np.uint64)
    for bits in range(1, 10):
        for mask in range(256):
            # Of 9 bits the eighth value does not fit.
            places = [64 - (x + 1) * bits for x in range(8) if mask >> x & 1 and (x + 1) * bits <= 64]
            out[bits, mask] = sum(1 << place for place in places)
    return out


SPREAD = _spread()


@inner
def begin(cells):  # type: ignore[no-untyped-def]
    state = np.zeros(4, np.int64)
    counts = np.empty(cells, np.uint16)
    index = np.empty(512 * cells, np.uint32)
    values = np.empty(576 * cells + 16, np.uint8)
    return state, counts, index, values, np.empty(9 * 64, np.uint8)


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


@part
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


@part
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


@part
def put(voxels, state, counts, index, values, planes, table, slots, seen, key):  # type: ignore[no-untyped-def]
    """The next sub-block, from its 512 labels, x fastest; `grown` came before."""
    first = voxels[0]
    if all_same(voxels, first):
        put_solid(first, state, counts, index, table, slots, key)
        return
    cell, to = state[3], state[1]
    planes[:] = 0
    n = 0
    for line in range(64):
        rest = np.uint64(255)
        # Nearly always a label is among the sub-block's first few.
        for k in range(min(n, 8)):
            found = equal8(voxels, 64 * line, table[index[to + k]]) & rest
            if found:
                set_planes(planes, line, k, found)
                rest ^= found
                if rest == 0:
                    break
        while rest:
            label = voxels[8 * line + np.int64(trailing(rest))]
            entry = entry_of(label, state, table, slots, key)
            if seen[entry, 0] != cell:
                seen[entry, 0], seen[entry, 1] = cell, n
                index[to + n] = entry
                n += 1
            found = equal8(voxels, 64 * line, label)
            set_planes(planes, line, seen[entry, 1], found)
            rest &= ~found
    counts[cell] = n
    state[1] = to + n
    state[2] = put_values(planes, width_of(n), values, state[2])
    state[3] = cell + 1


@inner
def all_same(voxels, label):  # type: ignore[no-untyped-def]
    for line in range(64):
        if equal8(voxels, 64 * line, label) != 255:
            return False
    return True


@inner
def set_planes(planes, line, value, voxels):  # type: ignore[no-untyped-def]
    """Add the bits of a value where it is in a line."""
    plane = line
    while value:
        if value & 1:
            planes[plane] |= np.uint8(voxels)
        value >>= 1
        plane += 64


@inner
def put_values(planes, bits, values, at):  # type: ignore[no-untyped-def]
    """512 values as bits; returns where they end.  Each line is stored as a whole word, the next one writes over it."""
    for line in range(64):
        if bits < 9:
            word = np.uint64(0)
            for plane in range(bits):
                word |= SPREAD[bits, planes[64 * plane + line]] << np.uint64(plane)
            store64(values, at, swapped(word))
        else:
            word, last = np.uint64(0), 0
            for plane in range(9):
                voxels = np.int64(planes[64 * plane + line])
                # The first seven values fill 63 bits, the highest bit of the eighth is the last one.
                word |= (SPREAD[9, voxels] << np.uint64(plane)) if plane < 8 else (SPREAD[9, voxels] << np.uint64(8))
                last |= (voxels >> 7) << plane
            word |= np.uint64(last >> 8)
            store64(values, at, swapped(word))
            store8(values, at + 8, last & 255)
        at += bits
    return at


@part
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
    state, counts, index, values, planes = begin(gz * gy * gx)
    table, slots, seen = first_table()
    voxels = np.empty(512, np.uint64)
    for cz in range(gz):
        for cy in range(gy):
            for cx in range(gx):
                corner = (oz + 8 * cz) * sz + (oy + 8 * cy) * sy + (ox + 8 * cx) * sx
                for line in range(64):
                    place = corner + (line >> 3) * sz + (line & 7) * sy
                    if sx == 8:
                        copy8(voxels, 64 * line, source, place)
                    else:
                        for x in range(8):
                            voxels[8 * line + x] = load64(source, place + sx * x)
                table, slots, seen = grown(state, table, slots, seen, key)
                put(voxels, state, counts, index, values, planes, table, slots, seen, key)
    return finish(gz, gy, gx, state, counts, index, values, table)


@kernel(OUT, *LAID, I64, I64, I64, types.uint64)
def compact(data, bits, at, pal, palette, gz, gy, gx, key):  # type: ignore[no-untyped-def]
    """The one block that is laid out, packed anew."""
    cells = gz * gy * gx
    state, counts, index, values, planes = begin(cells)
    table, slots, seen = first_table()
    voxels = np.empty(512, np.uint64)
    for cell in range(cells):
        table, slots, seen = grown(state, table, slots, seen, key)
        width = np.int64(bits[cell])
        if width == 0:
            put_solid(palette[pal[cell]], state, counts, index, table, slots, key)
            continue
        for line in range(64):
            expand(data, at[cell], width, pal[cell], palette, line, voxels, 64 * line)
        put(voxels, state, counts, index, values, planes, table, slots, seen, key)
    return finish(gz, gy, gx, state, counts, index, values, table)
