"""Snapshots of the state in memory, so that a start reads the end of the logs only.

u32 n | n bytes of msgpack: `Head` | m x u64 supervoxels | m x u64 bodies | m x u32 writers        LE
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import numpy as np

from .mapping import Layer

PIECE = 1 << 20


class Head(msgspec.Struct, frozen=True):
    """The state besides the mapping."""

    numbers: dict[int, int]
    """By version, the last log record that is contained."""
    versions: list[int]
    """The versions that entries name by their place."""
    maxima: dict[int, int]
    next_label: int
    ceiling: int
    turn: int
    splits: dict[int, list[list[int]]]
    entries: int
    mended: dict[int, list[int]] = {}


def pack_snapshot(head: Head, layer: Layer) -> bytes:
    """A kernel: the stored form."""
    raw = msgspec.msgpack.encode(head)
    columns = (layer.supervoxels.astype("<u8"), layer.bodies.astype("<u8"), layer.writers.astype("<u4"))
    return b"".join([len(raw).to_bytes(4, "little"), raw, *(c.tobytes() for c in columns)])


def read_snapshot(data: bytes) -> tuple[Head, Layer]:
    """A kernel: from the stored form."""
    size = int.from_bytes(data[:4], "little")
    head = msgspec.msgpack.decode(data[4 : 4 + size], type=Head)
    at, n = 4 + size, head.entries
    supervoxels = np.frombuffer(data, "<u8", n, at).copy()
    bodies = np.frombuffer(data, "<u8", n, at + 8 * n).copy()
    return head, Layer(supervoxels, bodies, np.frombuffer(data, "<u4", n, at + 16 * n).copy())


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """The bytes as a stream."""
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]
