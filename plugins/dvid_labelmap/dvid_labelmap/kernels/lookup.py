"""Bodies of supervoxels in one table of a mapping, see `mapping`."""

# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import LABELS, kernel

U32S = types.Array(types.uint32, 1, "C", readonly=True)
I32S = types.Array(types.int32, 1, "C", readonly=True)


@kernel(
    types.void, LABELS, LABELS, LABELS, U32S, I32S, types.int32,
    types.Array(types.uint64, 1, "C"), types.Array(types.int32, 1, "C"),
)  # fmt: skip
def look_up(wanted, names, bodies, writers, ranks, far, found, best):
    """Set found[i] and best[i], the body of wanted[i] and the rank of who said so, where the table has a nearer one.

    The table is sorted by name.  Where `wanted` ascends, each search begins where the one before ended.
    """
    size = len(names)
    low = np.int64(0)
    before = np.uint64(0)
    for i in range(len(wanted)):
        name = wanted[i]
        if name < before:
            low = np.int64(0)
        before = name
        # Bounds by steps that double, then by halves: low is the first place with a name not below.
        step = np.int64(1)
        high = low
        while high < size and names[high] < name:
            low = high + 1
            high += step
            step *= 2
        if high > size:
            high = size  # type: ignore[assignment]
        while low < high:
            middle = (low + high) >> 1
            if names[middle] < name:
                low = middle + 1
            else:
                high = middle
        place = low
        while place < size and names[place] == name:
            rank = ranks[writers[place]]
            # A newer table overrides the same version.
            if rank != far and rank <= best[i]:
                found[i] = bodies[place]
                best[i] = rank
            place += 1
