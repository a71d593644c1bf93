"""Label blocks, written and read without any of the code under test.  Arrays are z, y, x."""

from __future__ import annotations

import struct

import numpy as np

from .volume import Array


def encode(voxels: Array) -> bytes:
    """The label block of an array."""
    n = tuple(s // 8 for s in voxels.shape)
    table, places = np.unique(voxels, return_inverse=True)
    head = struct.pack("<4I", *n[::-1], len(table)) + table.astype("<u8").tobytes()
    if len(table) == 1:
        return head
    parts = places.reshape(n[0], 8, n[1], 8, n[2], 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 512)
    counts, entries, bits = [], [], []
    for part in parts:
        used, values = np.unique(part, return_inverse=True)
        counts.append(len(used))
        entries.append(used.astype("<u4").tobytes())
        if len(used) > 1:
            width = int(len(used) - 1).bit_length()
            bits.append(np.packbits(values.reshape(-1, 1) >> np.arange(width - 1, -1, -1) & 1).tobytes())
    return head + np.array(counts, "<u2").tobytes() + b"".join(entries) + b"".join(bits)


def decode(data: bytes) -> Array:
    """The voxels of a label block."""
    gx, gy, gz, count = struct.unpack_from("<4I", data)
    table = np.frombuffer(data, "<u8", count, 16)
    shape, at, total = (gz * 8, gy * 8, gx * 8), 16 + 8 * count, gx * gy * gz
    if count == 1:
        return np.full(shape, table[0])
    sizes = np.frombuffer(data, "<u2", total, at).astype(int)
    entries = np.frombuffer(data, "<u4", sizes.sum(), at + 2 * total)
    at += 2 * total + 4 * int(sizes.sum())
    out, first = np.zeros(shape, np.uint64), 0
    for number, size in enumerate(sizes.tolist()):
        z, y, x = (8 * i for i in np.unravel_index(number, (gz, gy, gx)))
        names, first = table[entries[first : first + size]], first + size
        if size == 1:
            out[z : z + 8, y : y + 8, x : x + 8] = names[0]
        elif size > 1:
            width = (size - 1).bit_length()
            bits = np.unpackbits(np.frombuffer(data, np.uint8, 64 * width, at)).reshape(512, width)
            at += 64 * width
            values = bits @ (1 << np.arange(width - 1, -1, -1))
            out[z : z + 8, y : y + 8, x : x + 8] = names[values].reshape(8, 8, 8)
    return out
