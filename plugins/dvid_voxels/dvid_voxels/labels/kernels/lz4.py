"""Label blocks as LZ4 sequences of their voxels, without an array of voxels in between.

The voxels of a box follow one another line by line.  The line under work is held, with whole sub-blocks of 8 voxels, and
was the line above before it was written over; so what is the same as above is seen while it is written.  Voxels are
matched with the voxel before (offset 8) or with the line above (offset: a line); both go on over the ends of lines.
"""

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import OUT, inner, kernel, part
from .memory import before8, copy8, fill8, same8, store8, store16, store64, trailing
from .reading import LAID, expand, line_of

I64 = types.int64

FAR = 65535
"""Bytes that a match can lie back."""

EVERY = np.uint64(2**64 - 1)

LITERAL, BEFORE, ABOVE = 0, 1, 2

# What a piece under way consists of, in `state`: bytes written, literals held (voxels), how the last voxels are matched,
# and how many they are.
WRITTEN, HELD, MODE, MATCHED = 0, 1, 2, 3


@inner
def needed(state, more):  # type: ignore[no-untyped-def]
    """Bytes that are written when what is held and `more` are."""
    return state[WRITTEN] + more + 8 * state[HELD] + state[HELD] // 16 + state[MATCHED] // 16 + 64


@part
def longer(out, state, more):  # type: ignore[no-untyped-def]
    """The same bytes with more room."""
    bigger = np.empty(2 * (len(out) + more), np.uint8)
    bigger[: state[WRITTEN]] = out[: state[WRITTEN]]
    return bigger


@inner
def put_length(out, to, length):  # type: ignore[no-untyped-def]
    """What a token has no room for; returns where it ends."""
    if length < 15:
        return to
    length -= 15
    while length >= 255:
        store8(out, to, 255)
        to += 1
        length -= 255
    store8(out, to, length)
    return to + 1


@inner
def put_sequence(out, state, held, back):  # type: ignore[no-untyped-def]
    """Write the literals held and the match that ended; `back` is a line in bytes."""
    literals, length = 8 * state[HELD], 8 * state[MATCHED] - 4
    to = state[WRITTEN]
    store8(out, to, (min(literals, 15) << 4) | min(length, 15))
    to = put_length(out, to + 1, literals)
    for k in range(state[HELD]):
        store64(out, to + 8 * k, held[k])
    to += literals
    store16(out, to, 8 if state[MODE] == BEFORE else back)
    state[WRITTEN] = put_length(out, to + 2, length)
    state[HELD] = state[MODE] = state[MATCHED] = 0


@inner
def run_of(mask):  # type: ignore[no-untyped-def]
    """How many of the lowest bits are set."""
    return np.int64(trailing(~mask))


@inner
def put_voxels(out, state, held, back, line, first, low, high, above, before):  # type: ignore[no-untyped-def]
    """Voxels low to high of the 8 at line[first]; bits say which are as above, and which as the voxel before."""
    x = low
    while x < high:
        up = min(high - x, run_of(above >> np.uint64(x)))
        left = min(high - x, run_of(before >> np.uint64(x)))
        mode = state[MODE]
        if mode == ABOVE and up:
            state[MATCHED] += up
            x += up
            continue
        if mode == BEFORE and left >= up and left:
            state[MATCHED] += left
            x += left
            continue
        if mode:
            put_sequence(out, state, held, back)
        if up == 0 and left == 0:
            held[state[HELD]] = line[first + x]
            state[HELD] += 1
            x += 1
        elif up >= left:
            state[MODE] = ABOVE
            state[MATCHED] = up
            x += up
        else:
            state[MODE] = BEFORE
            state[MATCHED] = left
            x += left


@inner
def put_above(out, state, held, back, voxels):  # type: ignore[no-untyped-def]
    """Voxels that all are as above."""
    if state[MODE] == BEFORE:
        put_sequence(out, state, held, back)
    state[MODE] = ABOVE
    state[MATCHED] += voxels


@part
def roomier(held, more):  # type: ignore[no-untyped-def]
    """The same literals with more room."""
    bigger = np.empty(2 * (len(held) + more), np.uint64)
    bigger[: len(held)] = held
    return bigger


@part
def put_end(out, state, held, back, last):  # type: ignore[no-untyped-def]
    """The end of a block: its last 5 bytes are literals, and no match begins in its last 12.  So is the last voxel."""
    if state[MODE]:
        state[MATCHED] -= 1
        if state[MATCHED]:
            put_sequence(out, state, held, back)
        state[MODE] = 0
        held[state[HELD]] = last
        state[HELD] += 1
    literals = 8 * state[HELD]
    store8(out, state[WRITTEN], min(literals, 15) << 4)
    state[WRITTEN] = put_length(out, state[WRITTEN] + 1, literals)


@inner
def set_changed(data, at, bits, number, changed, c):  # type: ignore[no-untyped-def]
    """Note in which of the lines that follow line `number` of a plane a sub-block is not as in the one before."""
    last = line_of(data, at, bits, number)
    bit = np.uint64(1) << np.uint64(c & 63)
    for y in range((number & 7) + 1, 8):
        number += 1
        word = line_of(data, at, bits, number)
        # Of 9 bits the last voxel is not all in the word.
        if bits == 9 or (word ^ last) >> np.uint64(64 - 8 * bits):
            changed[y, c >> 6] |= bit
        last = word


@kernel(
    types.Tuple((OUT, I64)), *LAID, I64, I64, I64, types.Array(types.int32, 3, "C", readonly=True),
    I64, I64, I64, I64, I64, I64, types.boolean,
)  # fmt: skip
def lz4(data, bits, at, pal, palette, gz, gy, gx, which, oz, oy, ox, depth, rows, width, last):  # type: ignore[no-untyped-def]
    """(sequences and literals without a token, bytes of these literals); the box begins at voxel (oz, oy, ox) of `which`."""
    out = np.empty(4096 + depth * rows * width // 4, np.uint8)
    state = np.zeros(4, np.int64)
    back = 8 * width
    reach = back <= FAR
    # Sub-blocks across; in the first and the last of them not all voxels may be meant.
    across = ((ox + width + 7) >> 3) - (ox >> 3)
    shift = ox & 7
    held = np.empty(max(256, 2 * width), np.uint64)
    line = np.zeros(8 * across, np.uint64)
    fresh = np.empty(8, np.uint64)
    widths = np.zeros(across, np.int64)
    ats = np.zeros(across, np.int64)
    pals = np.zeros(across, np.int64)
    # In each of the 8 lines that pass through sub-blocks those, a bit for each, that are not as in the line above.
    changed = np.zeros((8, (across + 63) >> 6), np.uint64)
    for z in range(oz, oz + depth):
        for y in range(oy, oy + rows):
            # Asked here, not there: a call that passes arrays costs as much as half a line.
            if needed(state, 12 * width) > len(out):
                out = longer(out, state, needed(state, 12 * width))
            if state[HELD] + width >= len(held):
                held = roomier(held, width)
            number = 8 * (z & 7) + (y & 7)
            if y == oy or (y & 7) == 0:
                changed[:] = 0
                changed[y & 7] = EVERY
                bz, by, bx, cx = z // (8 * gz), y // (8 * gy), (ox >> 3) // gx, (ox >> 3) % gx
                row = (((z >> 3) - bz * gz) * gy + (y >> 3) - by * gy) * gx
                for c in range(across):
                    widths[c] = 0
                    pals[c] = -1
                    block = np.int64(which[bz, by, bx])
                    if block >= 0:
                        cell = block * (gz * gy * gx) + row + cx
                        widths[c], ats[c], pals[c] = bits[cell], at[cell], pal[cell]
                        if widths[c]:
                            set_changed(data, ats[c], widths[c], number, changed, c)
                    cx += 1
                    if cx == gx:
                        bx, cx = bx + 1, 0
            first = y == oy and z == oz
            near = reach and not first
            done = shift
            previous = line[shift + width - 1]
            part_ = -1
            left = np.uint64(0)
            while True:
                while left == 0 and part_ + 1 < changed.shape[1]:
                    part_ += 1
                    left = changed[y & 7, part_] if reach else EVERY
                c = 64 * part_ + np.int64(trailing(left))
                if left == 0 or c >= across:
                    break
                left &= left - np.uint64(1)
                low = shift if c == 0 else 0
                high = shift + width - 8 * c if c == across - 1 else 8
                if 8 * c > done:
                    # What lies between changes of a line is as above.
                    put_above(out, state, held, back, 8 * c - done)
                if widths[c] == 0:
                    fill8(fresh, 0, np.uint64(0) if pals[c] < 0 else palette[pals[c]])
                else:
                    expand(data, ats[c], widths[c], pals[c], palette, number, fresh, 0)
                base = 8 * c
                above = same8(fresh, 0, line, 8 * base) if near else np.uint64(0)
                if above == 255:
                    put_above(out, state, held, back, high - low)
                else:
                    if c:
                        previous = line[base - 1]
                    copy8(line, 8 * base, fresh, 0)
                    before = before8(fresh, 0) & ~(np.uint64(1) << np.uint64(low))
                    if not (first and c == 0) and fresh[low] == previous:
                        before |= np.uint64(1) << np.uint64(low)
                    put_voxels(out, state, held, back, line, base, low, high, above, before)
                done = 8 * (c + 1)
            if done < shift + width:
                put_above(out, state, held, back, shift + width - done)
    if needed(state, 64) > len(out):
        out = longer(out, state, needed(state, 64))
    if last:
        put_end(out, state, held, back, line[shift + width - 1])
    elif state[MODE]:
        put_sequence(out, state, held, back)
    tail = 8 * state[HELD]
    for k in range(state[HELD]):
        store64(out, state[WRITTEN] + 8 * k, held[k])
    return out[: state[WRITTEN] + tail], 0 if last else tail
