"""The FNV-1 hash of 128 bits."""

# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import BYTES, kernel

U64 = types.uint64


@kernel(types.UniTuple(U64, 2), BYTES)
def fnv128(data):
    """The high and the low half of the hash: multiply by 2^88 + 0x13B, then xor, byte by byte."""
    high, low = np.uint64(0x6C62272E07BB0142), np.uint64(0x62B821756295C58D)
    mask, half, prime = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0x13B)
    for byte in data:
        a, b = (low & mask) * prime, (low >> half) * prime
        mid = (a >> half) + b
        # 2^88 moves the low half by 24 bits within the high one.
        high = high * prime + (mid >> half) + (low << np.uint64(24))
        low = (mid << half) | (a & mask)
        low = low ^ np.uint64(byte)
    return high, low
