"""Label blocks as LZ4 of their voxels, without an array of voxels in between.

The voxels of a box follow one another line by line.  One line is held, in whole sub-blocks of 8 voxels: the line above,
until the line under work is written over it.  What is the same as above is often known from the bits alone: in a
sub-block of one label all lines are, in others a line is where its bits are.  Voxels are matched with the line above
(offset: a line) or with the voxel before (offset 8); both go on over the ends of lines.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..jit import OUT, inner, kernel, part
from .eights import before8, copy8, fill8, same8
from .memory import keep, pointer, trailing
from .reading import LAID, expand, line_of, pointers
from .sequences import WRITTEN, begin, grown, is_full, lz4_of, put_above, put_held, put_last, put_voxels

I64 = types.int64

FAR = 65535
"""Bytes that a match can lie back."""

EVERY = np.uint64(2**64 - 1)


class Across(NamedTuple):
    """Pointers to what is known of the sub-blocks that a line passes through."""

    widths: Any
    """Bits a voxel."""
    ats: Any
    """Where its bits are."""
    pals: Any
    """Where its labels are in the palette, -1 where no block is."""
    changed: Any
    """For each of 8 lines, in words of 64 bits: which sub-blocks are not known to be as in the line above."""
    words: Any
    """Words of `changed` for a line."""


@part
def look(data, bits, at, pal, block, cell, step, count, gx, number, across):
    """Fill `across` from line `number` (8 * z + y) of the sub-blocks on: `cell` of the first of the row of blocks
    `block`, and so on; `step` sub-blocks are one block."""
    for k in range(8 * across.words):
        across.changed[k] = EVERY if k // across.words == number & 7 else np.uint64(0)
    bx, cx = 0, cell % gx
    row = cell - cx
    for c in range(count):
        across.widths[c] = 0
        across.pals[c] = -1
        if block[bx] >= 0:
            place = np.int64(block[bx]) * step + row + cx
            across.widths[c], across.ats[c], across.pals[c] = np.int64(bits[place]), at[place], pal[place]
            if bits[place]:
                set_changed(data, at[place], np.int64(bits[place]), number, across, c)
        cx += 1
        if cx == gx:
            bx, cx = bx + 1, 0


@inner
def set_changed(data, at, bits, number, across, c):
    last = line_of(data, at, bits, number)
    bit = np.uint64(1) << np.uint64(c & 63)
    for y in range((number & 7) + 1, 8):
        number += 1
        word = line_of(data, at, bits, number)
        # Of 9 bits the last voxel is not all in the word.
        if bits == 9 or (word ^ last) >> np.uint64(64 - 8 * bits):
            across.changed[y * across.words + (c >> 6)] |= bit
        last = word


@inner
def put_cell(lz4, data, palette, number, across, c, line, fresh, low, high, above, before):
    """Voxels low to high of a sub-block's line; `above` and `before` say whether there is a line above, a voxel before
    the first."""
    previous = line[8 * c - 1]
    if across.widths[c]:
        expand(data, across.ats[c], across.widths[c], across.pals[c], palette, number, fresh, 0)
    else:
        fill8(fresh, 0, np.uint64(0) if across.pals[c] < 0 else palette[across.pals[c]])
    up = same8(fresh, 0, line, 64 * c) if above else np.uint64(0)
    if up == 255:
        put_above(lz4, high - low)
        return
    copy8(line, 64 * c, fresh, 0)
    left = before8(fresh, 0) & ~(np.uint64(1) << np.uint64(low))
    if before and fresh[low] == previous:
        left |= np.uint64(1) << np.uint64(low)
    put_voxels(lz4, fresh, low, high, up, left)


@inner
def put_line(lz4, data, palette, number, across, count, line, fresh, shift, width, first, reach):
    """A line of `width` voxels from voxel `shift` of the first sub-block on; `first` says that nothing is before it."""
    # The voxel before the first one is the last of the line above.
    line[-1] = line[shift + width - 1]
    done = shift
    for n in range(across.words):
        left = across.changed[(number & 7) * across.words + n] if reach else EVERY
        while left:
            c = 64 * n + np.int64(trailing(left))
            if c >= count:
                break
            left &= left - np.uint64(1)
            low = shift if c == 0 else 0
            high = shift + width - 8 * c if c == count - 1 else 8
            if 8 * c > done:
                put_above(lz4, 8 * c - done)
            put_cell(
                lz4, data, palette, number, across, c, line, fresh, low, high, reach and not first, c > 0 or not first
            )  # fmt: skip
            done = 8 * c + 8
    if done < shift + width:
        put_above(lz4, shift + width - done)


@kernel(
    types.Tuple((OUT, I64)), *LAID, I64, I64, I64, types.Array(types.int32, 3, "C", readonly=True),
    I64, I64, I64, I64, I64, I64, types.boolean,
)  # fmt: skip
def lz4(data, bits, at, pal, palette, gz, gy, gx, which, oz, oy, ox, depth, rows, width, last):
    """(LZ4, bytes of literals without a token at its end) of a box from voxel (oz, oy, ox) of the blocks `which` on."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    # Sub-blocks across; of the first and the last of them not all voxels may be meant.
    count = ((ox + width + 7) >> 3) - (ox >> 3)
    words = (count + 63) >> 6
    longs = np.zeros(3 * count, np.int64)
    masks = np.zeros(8 * words, np.uint64)
    across = Across(pointer(longs), pointer(longs[count:]), pointer(longs[2 * count :]), pointer(masks), words)
    # Eight voxels, the voxel before the line, the line.
    labels = np.zeros(9 + 8 * count, np.uint64)
    fresh, line = pointer(labels), pointer(labels[9:])
    room = begin(depth * rows * width, width)
    out = lz4_of(room, width)
    reach = 8 * width <= FAR
    for z in range(oz, oz + depth):
        for y in range(oy, oy + rows):
            if is_full(out, width):
                room = grown(room, width)
                out = lz4_of(room, width)
            number = 8 * (z & 7) + (y & 7)
            if y == oy or (y & 7) == 0:
                cell = ((z >> 3) % gz * gy + (y >> 3) % gy) * gx + (ox >> 3) % gx
                block = pointer(which[z // (8 * gz), y // (8 * gy), (ox >> 3) // gx :])
                look(data, bits, at, pal, block, cell, gz * gy * gx, count, gx, number, across)
            put_line(
                out, data, palette, number, across, count, line, fresh, ox & 7, width, z == oz and y == oy, reach
            )  # fmt: skip
    if is_full(out, 1):
        room = grown(room, 1)
        out = lz4_of(room, width)
    if last:
        put_last(out, line[(ox & 7) + width - 1])
    tail = put_held(out)
    keep(longs)
    keep(masks)
    keep(labels)
    return room.out[: room.state[WRITTEN]], 0 if last else tail
