"""Coarse sparse volumes of many small indices at once, see `body` for their form."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import BYTES, LABELS, LONGS, OUT, kernel
from dvid_voxels.labels.kernels.memory import load8, load16, load32, load64, store32, store64

HEAD = 24
FRAME = 12
RUN = 16
MASK = (1 << 21) - 1
REACH = 1 << 20


@kernel(types.Tuple((OUT, types.int64[::1])), BYTES, LONGS, LABELS, LONGS, LONGS)
def coarse_frames(data, starts, labels, low, high):
    """Frames of u64 label, i32 n, n runs; and where each ends, negative for an index that is not read here.

    The index of labels[i] is bytes starts[i] to starts[i + 1]; `low` and `high` are fields z, y, x of packed blocks,
    both inside.
    """
    rows = 0
    for i in range(len(labels)):
        rows += FRAME + RUN * ((starts[i + 1] - starts[i]) // 20 + 1)
    out = np.empty(rows, np.uint8)
    ends = np.empty(len(labels), np.int64)
    n = 0
    for i in range(len(labels)):
        at, end = starts[i], starts[i + 1]
        ends[i] = -1
        if end - at < HEAD or load8(data, at) != 0:
            continue
        flags, count = load8(data, at + 1), load32(data, at + 4)
        at += HEAD
        if flags & 1:
            for _ in range(3):
                if at + 2 <= end:
                    at += 2 + load16(data, at)
        if flags & 2 and at + 4 <= end:
            at += 4 + 16 * load32(data, at)
        if at + 20 * count > end:
            continue
        store64(out, n, labels[i])
        frame, n, runs = n, n + FRAME, 0
        before, length = np.int64(-2), 0
        for k in range(count):
            block = np.int64(load64(data, at + 8 * k))
            z, y, x = block >> 42, block >> 21 & MASK, block & MASK
            if z < low[0] or z > high[0] or y < low[1] or y > high[1] or x < low[2] or x > high[2] or block == before:
                continue
            if block == before + 1:
                length += 1
            else:
                store32(out, n, x - REACH)
                store32(out, n + 4, y - REACH)
                store32(out, n + 8, z - REACH)
                n += RUN
                runs += 1
                length = 1
            store32(out, n - 4, length)
            before = block
        store32(out, frame + 8, runs)
        ends[i] = n
    return out[:n].copy(), ends
