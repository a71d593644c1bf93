"""LZ4 blocks, see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import BYTES, kernel


@kernel(types.UniTuple(types.int64, 2), BYTES)
def last_sequence(data):
    """Where the last sequence of a well-formed LZ4 block begins, and where its literals do."""
    at = 0
    while True:
        start = at
        token = np.int64(data[at])
        at += 1
        literals = token >> 4
        if literals == 15:
            while data[at] == 255:
                literals += 255
                at += 1
            literals += np.int64(data[at])
            at += 1
        text = at
        at += literals
        if at >= len(data):
            return start, text
        at += 2
        if token & 15 == 15:
            while data[at] == 255:
                at += 1
            at += 1
