"""Protobuf messages that clients send, as columns.

Read is what the usual libraries write: each field with the shortest tag, a map's entries with key and value in this
order.  Whatever else protobuf allows, and all that it does not, is `ODD` and left to the protobuf library, so that what
is accepted and what it means is for that alone to say.

A kernel is called twice: first to count, with empty columns, then to fill them.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import BYTES, inner, kernel

FINE, ODD = 0, 1

U64S = types.Array(types.uint64, 1, "C")
U32S = types.Array(types.uint32, 1, "C")
I64S = types.Array(types.int64, 1, "C")
SPANS = types.Array(types.int64, 3, "C")


@inner
def _varint(data, at, end):
    """A number and where it ends; -1 when it is cut or has more than 64 bits."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < end:
        byte = np.uint64(data[at])
        at += 1
        if shift == np.uint64(63) and byte > np.uint64(1):
            return value, np.int64(-1)
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return value, np.int64(at)
        shift += np.uint64(7)
    return value, np.int64(-1)


@inner
def _span(data, at, end):
    """Where the bytes of a field begin and end; -1 when they go beyond `end`."""
    size, start = _varint(data, at, end)
    if start < 0 or size > np.uint64(end - start):
        return np.int64(-1), np.int64(-1)
    return start, start + np.int64(size)


@kernel(
    types.UniTuple(types.int64, 4), BYTES, types.boolean, types.boolean, U64S, U64S, SPANS, I64S, U64S, U64S, I64S,
    U64S, U32S,
)  # fmt: skip
def read_indices(
    data, many, write, labels, mutations, texts, entry_ends, blocks, surfaces, row_ends, supervoxels, voxels
):
    """Of a LabelIndex, or with `many` of a LabelIndices: (code, indices, entries of blocks, rows).

    Index i has label, mutation id, the places of its texts in `data`, and the entries up to entry_ends[i]; entry e has
    block, surface mutation id and the rows up to row_ends[e].
    """
    odd = (ODD, 0, 0, 0)
    at, end = np.int64(0), np.int64(len(data))
    n, e, r = np.int64(0), np.int64(0), np.int64(0)
    while at < end or (not many and n == 0):
        stop = end
        if many:
            if data[at] != 0x0A:
                return odd
            at, stop = _span(data, at + 1, end)
            if at < 0:
                return odd
        label, mutation = np.uint64(0), np.uint64(0)
        if write:
            texts[n, :, :] = 0
        while at < stop:
            tag = data[at]
            at += 1
            if tag == 0x0A:
                at, last = _span(data, at, stop)
                if at < 0 or at >= last or data[at] != 0x08:
                    return odd
                block, at = _varint(data, at + 1, last)
                if at < 0 or at >= last or data[at] != 0x12:
                    return odd
                at, inside = _span(data, at + 1, last)
                if at < 0 or inside != last:
                    return odd
                surface = np.uint64(0)
                while at < last:
                    tag = data[at]
                    at += 1
                    if tag == 0x0A:
                        at, behind = _span(data, at, last)
                        if at < 0 or at >= behind or data[at] != 0x08:
                            return odd
                        supervoxel, at = _varint(data, at + 1, behind)
                        if at < 0 or at >= behind or data[at] != 0x10:
                            return odd
                        count, at = _varint(data, at + 1, behind)
                        if at != behind or count > np.uint64(0xFFFFFFFF):
                            return odd
                        if write:
                            supervoxels[r], voxels[r] = supervoxel, np.uint32(count)
                        r += 1
                    elif tag == 0x10:
                        surface, at = _varint(data, at, last)
                        if at < 0:
                            return odd
                    else:
                        return odd
                if write:
                    blocks[e], surfaces[e], row_ends[e] = block, surface, r
                e += 1
            elif tag == 0x10:
                label, at = _varint(data, at, stop)
                if at < 0:
                    return odd
            elif tag == 0x18:
                mutation, at = _varint(data, at, stop)
                if at < 0:
                    return odd
            elif tag == 0x22 or tag == 0x2A or tag == 0x32:
                first, at = _span(data, at, stop)
                if at < 0:
                    return odd
                if write:
                    which = (np.int64(tag) >> 3) - 4
                    texts[n, which, 0], texts[n, which, 1] = first, at
            else:
                return odd
        if write:
            labels[n], mutations[n], entry_ends[n] = label, mutation, e
        n += 1
    return FINE, n, e, r


@kernel(types.UniTuple(types.int64, 2), BYTES, types.boolean, U64S, U64S)
def read_mappings(data, write, supervoxels, bodies):
    """Of a MappingOps: (code, supervoxels), in the order they come."""
    odd = (ODD, 0)
    at, end = np.int64(0), np.int64(len(data))
    n = np.int64(0)
    while at < end:
        if data[at] != 0x0A:
            return odd
        at, stop = _span(data, at + 1, end)
        if at < 0:
            return odd
        body, first = np.uint64(0), n
        while at < stop:
            tag = data[at]
            at += 1
            if tag == 0x1A:
                at, last = _span(data, at, stop)
                if at < 0:
                    return odd
                while at < last:
                    value, at = _varint(data, at, last)
                    if at < 0:
                        return odd
                    if write:
                        supervoxels[n] = value
                    n += 1
            elif tag == 0x08 or tag == 0x10 or tag == 0x18:
                value, at = _varint(data, at, stop)
                if at < 0:
                    return odd
                if tag == 0x10:
                    body = value
                elif tag == 0x18:
                    if write:
                        supervoxels[n] = value
                    n += 1
            else:
                return odd
        if write:
            bodies[first:n] = body
    return FINE, n
