"""Counts set in many small indices at once, see `body` for their form."""

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import LABELS, LONGS, kernel

WRITTEN, DELETED, LEFT, ABSENT = 0, 1, 2, 3
"""What becomes of a body: it has a new value; it is gone; it is for others to do; it never was."""

HEAD = 24

VOXELS = types.Array(types.uint32, 1, "C", readonly=True)


@kernel(
    types.int64, LABELS, LONGS, LONGS, LONGS, LABELS, LABELS, VOXELS, types.int64,
    types.Array(types.uint64, 1, "C"), types.Array(types.uint32, 1, "C"), types.Array(types.int64, 1, "C"),
    types.Array(types.int64, 1, "C"), types.Array(types.uint8, 1, "C"),
)  # fmt: skip
def set_rows(old, starts, sizes, bounds, blocks, supervoxels, voxels, most, wide, half, places, lengths, state):  # type: ignore[no-untyped-def]
    """The values of bodies with rows set; returns the words of `wide` that are used.

    The value of body b is sizes[b] bytes (0: none) from word starts[b] of `old` on.  Rows bounds[b] to bounds[b + 1],
    sorted by block and supervoxel, are set in it; those with 0 voxels are removed.  The new value is lengths[b] bytes
    from word places[b] of `wide` on, of which `half` is another view.  Bodies of more than `most` rows are left.
    """
    used = 0
    for b in range(len(starts)):
        first, last = bounds[b], bounds[b + 1]
        n, base = 0, starts[b] + 3
        state[b] = ABSENT
        mutation = np.uint64(0)
        if sizes[b] > 0:
            head = old[starts[b]]
            if head & np.uint64(0xFFFF):
                state[b] = LEFT
                continue
            n = np.int64(head >> np.uint64(32))  # type: ignore[assignment]
            mutation = old[starts[b] + 2]
        # A first pass counts, a second writes: columns lie one behind another.
        count = 0
        for write in range(2):
            if write:
                if count > most:
                    state[b] = LEFT
                    break
                if count == 0:
                    if sizes[b] > 0:
                        state[b] = DELETED
                    break
                state[b] = WRITTEN
                places[b] = used
                lengths[b] = HEAD + 20 * count
                at_blocks, at_labels, at_voxels = used + 3, used + 3 + count, 2 * (used + 3 + 2 * count)
                total = np.uint64(0)
            i, j, k = 0, first, 0
            while i < n or j < last:
                take_new = j < last
                if take_new and i < n:
                    block, label = old[base + i], old[base + n + i]
                    if block < blocks[j] or (block == blocks[j] and label < supervoxels[j]):
                        take_new = False
                    elif block == blocks[j] and label == supervoxels[j]:
                        i += 1
                if take_new:
                    block, label, value = blocks[j], supervoxels[j], voxels[j]
                    j += 1
                else:
                    block, label = old[base + i], old[base + n + i]
                    word = old[base + 2 * n + i // 2]
                    value = np.uint32((word >> np.uint64(32 * (i % 2))) & np.uint64(0xFFFFFFFF))
                    i += 1
                if value == 0:
                    continue
                if write:
                    wide[at_blocks + k], wide[at_labels + k] = block, label
                    half[at_voxels + k] = value
                    total += np.uint64(value)
                k += 1
            if write:
                wide[used] = np.uint64(count) << np.uint64(32)
                wide[used + 1] = total
                wide[used + 2] = mutation
                used += 3 + 2 * count + (count + 1) // 2
            else:
                count = k
    return used
