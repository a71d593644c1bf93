"""What sparse volumes mean: decoders of replies about bodies, for `dvid_core.testing.replay`."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import numpy as np

from dvid_core.testing.meaning import Decoder, Mismatch

from .meaning import unlz4
from .volume import Array

Rows = dict[tuple[int, int], list[tuple[int, int]]]


def joined(runs: Array) -> Rows:
    """Runs of x, y, z, length by (z, y): what they cover, as intervals of x; none overlap."""
    rows: Rows = {}
    for x, y, z, n in sorted(runs.tolist(), key=lambda run: run[::-1][1:] + run[:1]):
        row = rows.setdefault((z, y), [])
        if row and x < row[-1][1]:
            raise Mismatch(f"runs overlap at x, y, z {x}, {y}, {z}")
        if row and x == row[-1][1]:
            row[-1] = row[-1][0], x + n
        else:
            row.append((x, x + n))
    return rows


def runs(data: bytes) -> Rows:
    """Runs without a head."""
    return joined(np.frombuffer(data, "<i4").reshape(-1, 4))


def sparse_volume(data: bytes) -> tuple[bytes, Rows]:
    """Runs with their head."""
    [count] = struct.unpack_from("<I", data, 8)
    if len(data) != 12 + 16 * count:
        raise Mismatch(f"{count} runs in {len(data)} bytes")
    return data[:3], runs(data[12:])


def coarse_volumes(data: bytes) -> dict[int, Rows]:
    """The reply of sparsevols-coarse."""
    out = {}
    while data:
        label, count = struct.unpack_from("<Qi", data)
        out[label], data = runs(data[12 : 12 + 16 * count]), data[12 + 16 * count :]
    return out


def mask(data: bytes) -> tuple[Any, ...]:
    """A sparse volume as blocks of bits: its head, and the blocks that have voxels."""
    if not data:
        return ()
    gx, gy, gz, label = struct.unpack_from("<3IQ", data)
    at, out = 20, {}
    while at < len(data):
        place, flag, at = struct.unpack_from("<3i", data, at), data[at + 12], at + 13
        if flag > 2 or place in out:
            raise Mismatch(f"block {place} with flag {flag}")
        voxels = np.full((gz * 8, gy * 8, gx * 8), flag == 1)
        for number in range(gx * gy * gz if flag == 2 else 0):
            z, y, x = (8 * i for i in np.unravel_index(number, (gz, gy, gx)))
            sub, at = data[at], at + 1
            if sub == 2:
                bits = np.unpackbits(np.frombuffer(data, np.uint8, 64, at), bitorder="little")
                voxels[z : z + 8, y : y + 8, x : x + 8] = bits.reshape(8, 8, 8)
                at += 64
            else:
                voxels[z : z + 8, y : y + 8, x : x + 8] = sub
        if voxels.any():
            out[place] = voxels
    return (gx, gy, gz), label, out


BODY_DECODERS: dict[str, Decoder] = {
    "sparsevol": lambda data, _: sparse_volume(data),
    "sparsevol-gzip": lambda data, _: sparse_volume(gzip.decompress(data)),
    "sparsevol-lz4": lambda data, size: sparse_volume(unlz4(data, size)),
    "srles": lambda data, _: runs(data),
    "coarse-stream": lambda data, _: coarse_volumes(data),
    "binary-blocks": lambda data, _: mask(data),
}
