"""LZ4 sequences of 64-bit voxels (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md)."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..jit import inner, part
from .memory import pointer, store8, store16, store64, trailing

BEFORE, ABOVE = 1, 2
"""How voxels are matched: with the one before each, or with the line above.  0 is not at all."""

WRITTEN, HELD, MODE, MATCHED = 0, 1, 2, 3


class Room(NamedTuple):
    """The arrays of LZ4 under way."""

    state: Any
    """Bytes written; voxels held as literals; how the last voxels are matched, and how many they are."""
    out: Any
    held: Any
    """Literals that wait for a match, before which their number must stand."""


class Lz4(NamedTuple):
    """The same as pointers."""

    state: Any
    out: Any
    held: Any
    room: Any
    """Bytes of `out`."""
    places: Any
    """Voxels of `held`."""
    back: Any
    """Bytes of a line."""


@inner
def begin(voxels, width):
    """For so many voxels in lines of `width`: a quarter of a byte for each is enough for most segmentations."""
    return Room(np.zeros(4, np.int64), np.empty(4096 + voxels // 4, np.uint8), np.empty(256 + 2 * width, np.uint64))


@inner
def lz4_of(room, width):
    return Lz4(pointer(room.state), pointer(room.out), pointer(room.held), len(room.out), len(room.held), 8 * width)


@inner
def is_full(lz4, voxels):
    """Whether there might be no room for so many voxels more: at worst each second one is a literal before a match."""
    state = lz4.state
    more = 12 * voxels + 8 * state[HELD] + state[HELD] // 16 + state[MATCHED] // 16 + 64
    return state[WRITTEN] + more > lz4.room or state[HELD] + voxels >= lz4.places


@part
def grown(room, voxels):
    """The same with room for so many voxels more."""
    state = room.state
    more = 12 * voxels + 8 * state[HELD] + state[HELD] // 16 + state[MATCHED] // 16 + 64
    out, held = room.out, room.held
    if state[WRITTEN] + more > len(out):
        out = np.empty(2 * (len(out) + more), np.uint8)
        out[: state[WRITTEN]] = room.out[: state[WRITTEN]]
    if state[HELD] + voxels >= len(held):
        held = np.empty(2 * (len(held) + voxels), np.uint64)
        held[: state[HELD]] = room.held[: state[HELD]]
    return Room(state, out, held)


@inner
def put_length(out, to, length):
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


@part
def put_sequence(lz4):
    """Write the literals held and the match that ended."""
    state, out = lz4.state, lz4.out
    literals, length = 8 * state[HELD], 8 * state[MATCHED] - 4
    to = state[WRITTEN]
    store8(out, to, (min(literals, 15) << 4) | min(length, 15))
    to = put_length(out, to + 1, literals)
    for k in range(state[HELD]):
        store64(out, to + 8 * k, lz4.held[k])
    to += literals
    store16(out, to, 8 if state[MODE] == BEFORE else lz4.back)
    state[WRITTEN] = put_length(out, to + 2, length)
    state[HELD] = 0
    state[MODE] = 0
    state[MATCHED] = 0


@inner
def put_above(lz4, voxels):
    """Voxels that all are as above."""
    if lz4.state[MODE] == BEFORE:
        put_sequence(lz4)
    lz4.state[MODE] = ABOVE
    lz4.state[MATCHED] += voxels


@inner
def run_of(mask, most):
    """How many of the lowest bits are set."""
    return min(most, np.int64(trailing(~mask)))


@part
def put_voxels(lz4, voxels, low, high, above, before):
    """Voxels low to high; bits say which are as above, and which as the voxel before."""
    state = lz4.state
    x = low
    while x < high:
        up = run_of(above >> np.uint64(x), high - x)
        left = run_of(before >> np.uint64(x), high - x)
        if state[MODE] == ABOVE and up:
            state[MATCHED] += up
            x += up
            continue
        if state[MODE] == BEFORE and left and left >= up:
            state[MATCHED] += left
            x += left
            continue
        if state[MODE]:
            put_sequence(lz4)
        if up == 0 and left == 0:
            lz4.held[state[HELD]] = voxels[x]
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


@part
def put_last(lz4, voxel):
    """The end of a block: 5 bytes of literals at least, and no match begins in the last 12.  So the last voxel is."""
    state = lz4.state
    if state[MODE]:
        state[MATCHED] -= 1
        if state[MATCHED]:
            put_sequence(lz4)
        state[MODE] = 0
        lz4.held[state[HELD]] = voxel
        state[HELD] += 1
    literals = 8 * state[HELD]
    store8(lz4.out, state[WRITTEN], min(literals, 15) << 4)
    state[WRITTEN] = put_length(lz4.out, state[WRITTEN] + 1, literals)


@part
def put_held(lz4):
    """Literals that no match follows; returns how many bytes they are."""
    state = lz4.state
    if state[MODE]:
        put_sequence(lz4)
    for k in range(state[HELD]):
        store64(lz4.out, state[WRITTEN] + 8 * k, lz4.held[k])
    state[WRITTEN] += 8 * state[HELD]
    return 8 * state[HELD]
