"""The `blocks` fields of protobuf messages of indices."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import LABELS, LONGS, OUT, inner, kernel

VOXELS = types.Array(types.uint32, 1, "C", readonly=True)
ENDS = types.Array(types.int64, 1, "C")

FIELD = np.uint64((1 << 21) - 1)
REACH = np.int64(1 << 20)


@inner
def _length(value):
    size = np.int64(1)
    while value >= np.uint64(128):
        value >>= np.uint64(7)
        size += 1
    return size


@inner
def _put(out, at, value):
    while value >= np.uint64(128):
        out[at] = np.uint8(value & np.uint64(127)) | np.uint8(128)
        value >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@inner
def _wire(block):
    """A packed block as the wire has it, see `dvid_voxels.segmentation.packing`."""
    out = np.uint64(0)
    for shift in (np.uint64(42), np.uint64(21), np.uint64(0)):
        at = np.int64((block >> shift) & FIELD) - REACH
        field = np.uint64(at) if at >= 0 else np.uint64(-at) | np.uint64(1 << 20)
        out |= field << shift
    return out


@inner
def _put_row(out, at, supervoxel, count):
    out[at] = 0x0A
    out[at + 1] = 2 + _length(supervoxel) + _length(count)
    out[at + 2] = 0x08
    at = _put(out, at + 3, supervoxel)
    out[at] = 0x10
    return _put(out, at + 1, count)


@inner
def _half(words, base, number):
    """A number of 32 bits among those that lie from a word on."""
    return (words[base + number // 2] >> np.uint64(32 * (number % 2))) & np.uint64(0xFFFFFFFF)


@kernel(types.int64, LABELS, LONGS, LONGS, LABELS, types.boolean, OUT, ENDS)
def write_stored(words, starts, sizes, labels, write, out, ends):
    """The bytes of a LabelIndices message of indices as they are stored; with `write` it is put into `out`.

    The stored form of index i is sizes[i] bytes (0: none) from word starts[i] of `words` on, see
    `dvid_voxels.segmentation.body`.  Where it is more than rows, or sizes[i] is -1, the index is left out: ends[i] is
    -1 - the place where it belongs; else the place where it ends.
    """
    at = np.int64(0)
    for i in range(len(labels)):
        n, mutation, base = np.int64(0), np.uint64(0), starts[i] + 3
        if sizes[i]:
            head = words[starts[i]] if sizes[i] > 0 else np.uint64(1)
            if head & np.uint64(0xFFFF):
                ends[i] = -1 - at
                continue
            n, mutation = np.int64(head >> np.uint64(32)), words[starts[i] + 2]
        size = np.int64(0)
        for write_now in range(2):
            # First the size of all, which stands before it.
            if write_now:
                if not write:
                    at += 1 + _length(np.uint64(size)) + size
                    break
                out[at] = 0x0A
                at = _put(out, at + 1, np.uint64(size))
            row = np.int64(0)
            while row < n:
                block = words[base + row]
                behind = row
                counts = np.int64(0)
                while behind < n and words[base + behind] == block:
                    counts += 4 + _length(words[base + n + behind]) + _length(_half(words, base + 2 * n, behind))
                    behind += 1
                key = _wire(block)
                inside = 2 + _length(key) + _length(np.uint64(counts)) + counts
                if not write_now:
                    size += 1 + _length(np.uint64(inside)) + inside
                    row = behind
                    continue
                out[at] = 0x0A
                at = _put(out, at + 1, np.uint64(inside))
                out[at] = 0x08
                at = _put(out, at + 1, key)
                out[at] = 0x12
                at = _put(out, at + 1, np.uint64(counts))
                while row < behind:
                    at = _put_row(out, at, words[base + n + row], _half(words, base + 2 * n, row))
                    row += 1
            if not write_now:
                size += 1 + _length(labels[i]) + (1 + _length(mutation) if mutation else 0)
                continue
            out[at] = 0x10
            at = _put(out, at + 1, labels[i])
            if mutation:
                out[at] = 0x18
                at = _put(out, at + 1, mutation)
        ends[i] = at
    return at


@kernel(types.int64, LABELS, LABELS, VOXELS, LABELS, LONGS, types.boolean, OUT, ENDS)
def write_indices(blocks, supervoxels, voxels, surfaces, bounds, write, out, ends):
    """The bytes that the `blocks` of several indices take; with `write` they are put into `out`, each up to its end.

    Index i has the rows bounds[i] to bounds[i + 1], sorted by block; `surfaces` has the surface mutation id of each
    row's block, or is empty.
    """
    at = np.int64(0)
    for i in range(len(bounds) - 1):
        row, stop = bounds[i], bounds[i + 1]
        while row < stop:
            block = blocks[row]
            behind = row
            counts = np.int64(0)
            while behind < stop and blocks[behind] == block:
                counts += 4 + _length(supervoxels[behind]) + _length(np.uint64(voxels[behind]))
                behind += 1
            surface = surfaces[row] if len(surfaces) else np.uint64(0)
            if surface:
                counts += 1 + _length(surface)
            key = _wire(block)
            size = 2 + _length(key) + _length(np.uint64(counts)) + counts
            if not write:
                at += 1 + _length(np.uint64(size)) + size
                row = behind
                continue
            out[at] = 0x0A
            at = _put(out, at + 1, np.uint64(size))
            out[at] = 0x08
            at = _put(out, at + 1, key)
            out[at] = 0x12
            at = _put(out, at + 1, np.uint64(counts))
            while row < behind:
                at = _put_row(out, at, supervoxels[row], np.uint64(voxels[row]))
                row += 1
            if surface:
                out[at] = 0x10
                at = _put(out, at + 1, surface)
        if write:
            ends[i] = at
    return at
