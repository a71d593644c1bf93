"""Label blocks written from voxels, sub-block by sub-block."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..jit import OUT, VOLUME, inner, kernel, part
from .eights import copy8, equal8
from .memory import keep, load64, moved, pointer, store8, store16, store32, store64, swapped, trailing
from .reading import HEAD, LAID, expand, pointers, width_of

I64 = types.int64

MORE = 512
"""Labels that one sub-block can add to the table; before each there is room for so many."""


class Room(NamedTuple):
    """The arrays of a block under way."""

    state: Any
    """Of the sub-blocks so far: labels in the table, entries, bytes of values, how many they are."""
    counts: Any
    """Entries of each sub-block."""
    index: Any
    """All sub-blocks' entries."""
    values: Any
    """All sub-blocks' bits."""
    planes: Any
    """Per bit of the values of the sub-block under way 64 lines, whose voxels have it, the first voxel lowest."""
    table: Any
    slots: Any
    """An open hash of the table: entry + 1, 0 where free; its size is a power of two."""
    seen: Any
    """Two numbers per entry of the table: the sub-block that had it last, and as which of its own."""


class Pack(NamedTuple):
    """The same as pointers."""

    state: Any
    counts: Any
    index: Any
    values: Any
    planes: Any
    table: Any
    slots: Any
    seen: Any
    mask: Any
    """The size of `slots`, less 1."""
    key: Any


LABELS_IN, ENTRIES, BYTES, CELLS = 0, 1, 2, 3


def _spread() -> Any:
    """[256 * b + eight voxels' bits, the first lowest]: each bit as a value of b bits, from a word's highest bit on."""
    out = np.zeros((10, 256), np.uint64)
    for bits in range(1, 10):
        for mask in range(256):
            # Of 9 bits the eighth value does not fit.
            places = [64 - (x + 1) * bits for x in range(8) if mask >> x & 1 and (x + 1) * bits <= 64]
            out[bits, mask] = sum(1 << place for place in places)
    return out.ravel()


SPREAD = _spread()


@inner
def begin(cells):
    return Room(
        np.zeros(4, np.int64),
        np.empty(cells, np.uint16),
        np.empty(512 * cells, np.uint32),
        np.empty(576 * cells + 16, np.uint8),
        np.empty(9 * 64, np.uint8),
        np.empty(2 * MORE, np.uint64),
        np.zeros(8 * MORE, np.int32),
        np.full(4 * MORE, -1, np.int64),
    )


@inner
def pack_of(room, key):
    return Pack(
        pointer(room.state),
        pointer(room.counts),
        pointer(room.index),
        pointer(room.values),
        pointer(room.planes),
        pointer(room.table),
        pointer(room.slots),
        pointer(room.seen),
        len(room.slots) - 1,
        key,
    )


@inner
def is_full(pack):
    """Whether the table has no room for another sub-block's labels."""
    return pack.state[LABELS_IN] + MORE > (pack.mask + 1) >> 2


@part
def grown(room, key):
    """The same with more room in the table."""
    used = room.state[LABELS_IN]
    table = np.empty(4 * len(room.table), np.uint64)
    seen = np.full(2 * len(table), -1, np.int64)
    table[:used] = room.table[:used]
    seen[: 2 * used] = room.seen[: 2 * used]
    slots = np.zeros(4 * len(table), np.int32)
    mask = len(slots) - 1
    for entry in range(used):
        place = np.int64(hashed(table[entry], key) & np.uint64(mask))
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = entry + 1
    return Room(room.state, room.counts, room.index, room.values, room.planes, table, slots, seen)


@inner
def hashed(label, key):
    """Bits of a label that nobody can foresee who does not know the key: else labels could be made that all collide."""
    word = (label ^ key) * np.uint64(0x9E3779B97F4A7C15)
    word ^= word >> np.uint64(32)
    word = (word + key) * np.uint64(0xD6E8FEB86659FD93)
    return word ^ (word >> np.uint64(32))


@inner
def entry_of(pack, label):
    """The table's entry of a label, made where there is none."""
    place = np.int64(hashed(label, pack.key) & np.uint64(pack.mask))
    while True:
        entry = np.int64(pack.slots[place]) - 1
        if entry < 0:
            entry = pack.state[LABELS_IN]
            pack.state[LABELS_IN] = entry + 1
            pack.slots[place] = np.int32(entry + 1)
            pack.table[entry] = label
            return entry
        if pack.table[entry] == label:
            return entry
        place = (place + 1) & pack.mask


@part
def put_solid(pack, label):
    """The next sub-block: all voxels are `label`."""
    cell, to = pack.state[CELLS], pack.state[ENTRIES]
    entry = np.int64(0)
    if cell and pack.counts[cell - 1] == 1 and pack.table[pack.index[to - 1]] == label:
        entry = np.int64(pack.index[to - 1])
    else:
        entry = entry_of(pack, label)
    pack.counts[cell] = np.uint16(1)
    pack.index[to] = np.uint32(entry)
    pack.state[ENTRIES] = to + 1
    pack.state[CELLS] = cell + 1


@part
def put(pack, voxels):
    """The next sub-block, from a pointer to its 512 labels, x fastest."""
    if all_same(voxels, voxels[0]):
        put_solid(pack, voxels[0])
        return
    cell, to = pack.state[CELLS], pack.state[ENTRIES]
    for k in range(72):
        store64(pack.planes, 8 * k, np.uint64(0))
    n = 0
    for line in range(64):
        rest = np.uint64(255)
        # Nearly always a label is among the sub-block's first few.
        for k in range(min(n, 8)):
            found = equal8(voxels, 64 * line, pack.table[pack.index[to + k]]) & rest
            if found:
                set_planes(pack.planes, line, k, found)
                rest ^= found
                if rest == 0:
                    break
        while rest:
            label = voxels[8 * line + np.int64(trailing(rest))]
            entry = entry_of(pack, label)
            if pack.seen[2 * entry] != cell:
                pack.seen[2 * entry] = cell
                pack.seen[2 * entry + 1] = n
                pack.index[to + n] = np.uint32(entry)
                n += 1
            found = equal8(voxels, 64 * line, label)
            set_planes(pack.planes, line, pack.seen[2 * entry + 1], found)
            rest &= ~found
    pack.counts[cell] = np.uint16(n)
    pack.state[ENTRIES] = to + n
    pack.state[BYTES] = put_values(pack, width_of(n), pack.state[BYTES])
    pack.state[CELLS] = cell + 1


@inner
def all_same(voxels, label):
    for line in range(64):  # noqa: SIM110
        if equal8(voxels, 64 * line, label) != 255:
            return False
    return True


@inner
def set_planes(planes, line, value, voxels):
    """Add the bits of a value where it is in a line."""
    plane = line
    while value:
        if value & 1:
            planes[plane] |= np.uint8(voxels)
        value >>= 1
        plane += 64


@inner
def put_values(pack, bits, to):
    """512 values as bits; returns where they end.  Each line is stored as a whole word, the next one writes over it."""
    spread = pointer(SPREAD)
    for line in range(64):
        word = np.uint64(0)
        if bits < 9:
            for plane in range(bits):
                word |= spread[256 * bits + pack.planes[64 * plane + line]] << np.uint64(plane)
            store64(pack.values, to, swapped(word))
        else:
            last = 0
            for plane in range(9):
                voxels = np.int64(pack.planes[64 * plane + line])
                word |= spread[256 * 9 + voxels] << np.uint64(plane)
                last |= (voxels >> 7) << plane
            # The first seven values fill 63 bits, the highest bit of the eighth is the last one.
            store64(pack.values, to, swapped(word | np.uint64(last >> 8)))
            store8(pack.values, to + 8, last & 255)
        to += bits
    return to


@part
def finish(room, gz, gy, gx):
    """The block."""
    entries, cells = room.state[LABELS_IN], room.state[CELLS]
    index, values = room.state[ENTRIES], room.state[BYTES]
    out = np.empty(HEAD + 8 * entries + (0 if entries == 1 else 2 * cells + 4 * index + values), np.uint8)
    to = pointer(out)
    store32(to, 0, gx)
    store32(to, 4, gy)
    store32(to, 8, gz)
    store32(to, 12, entries)
    place = HEAD
    for k in range(entries):
        store64(to, place + 8 * k, room.table[k])
    if entries > 1:
        place += 8 * entries
        for k in range(cells):
            store16(to, place + 2 * k, np.int64(room.counts[k]))
        place += 2 * cells
        for k in range(index):
            store32(to, place + 4 * k, np.int64(room.index[k]))
        out[place + 4 * index :] = room.values[:values]
    return out


@kernel(OUT, VOLUME, I64, I64, I64, I64, I64, I64, types.uint64)
def encode(source, oz, oy, ox, gz, gy, gx, key):
    """The block whose first voxel is (oz, oy, ox) of `source`."""
    sz, sy, sx = source.strides
    data = pointer(source)
    room = begin(gz * gy * gx)
    pack = pack_of(room, key)
    # A row of sub-blocks at a time: its lines are long enough for the processor to see them coming.
    row = np.empty(512 * gx, np.uint64)
    voxels = pointer(row)
    for cz in range(gz):
        for cy in range(gy):
            corner = (oz + 8 * cz) * sz + (oy + 8 * cy) * sy + ox * sx
            for line in range(64):
                place = corner + (line >> 3) * sz + (line & 7) * sy
                for cx in range(gx):
                    if sx == 8:
                        copy8(voxels, 4096 * cx + 64 * line, data, place + 64 * cx)
                    else:
                        for x in range(8):
                            voxels[512 * cx + 8 * line + x] = load64(data, place + sx * (8 * cx + x))
            for cx in range(gx):
                if is_full(pack):
                    room = grown(room, key)
                    pack = pack_of(room, key)
                put(pack, moved(voxels, 4096 * cx))
    keep(row)
    return finish(room, gz, gy, gx)


@kernel(OUT, *LAID, I64, I64, I64, types.uint64)
def compact(data, bits, at, pal, palette, gz, gy, gx, key):
    """The one block that is laid out, packed anew."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    room = begin(gz * gy * gx)
    pack = pack_of(room, key)
    scratch = np.empty(512, np.uint64)
    voxels = pointer(scratch)
    for cell in range(gz * gy * gx):
        if is_full(pack):
            room = grown(room, key)
            pack = pack_of(room, key)
        width = np.int64(bits[cell])
        if width == 0:
            put_solid(pack, palette[pal[cell]])
            continue
        for line in range(64):
            expand(data, at[cell], width, pal[cell], palette, line, voxels, 64 * line)
        put(pack, voxels)
    keep(scratch)
    return finish(room, gz, gy, gx)
