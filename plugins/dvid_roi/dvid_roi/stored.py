"""The stored form of a region: a head, and behind it normal spans, 16 bytes each, little-endian.

    4s "ROI1" | u32 spans | i32 least z, y, x | i32 greatest z, y, x | 16 bytes unused
    (i32 z, i32 y) of the first span of each page of 1024, filled up to 16 bytes
    (i32 z, y, x0, x1) of each span, sorted

All parts are multiples of 16 bytes, and so are the chunks of large values: any piece of a value has whole spans. By
the pages a reader finds the spans of some rows without the others.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from dvid_core import Value
from dvid_voxels.geometry import Box
from dvid_voxels.spans import Spans, row_key, row_keys

_FORM = struct.Struct("<4sI6i16x")
_MARK = b"ROI1"
SPAN = 16
PAGE = 1024
"""Spans between two entries of the head."""

MOST = 1 << 22
"""Spans that a region can have: 64 MiB."""

_HEAD = _FORM.size + MOST // PAGE * 8
"""Bytes that hold any head."""

_PIECE = 1 << 20


class Head:
    """What is known of a region before its spans are read."""

    __slots__ = ("count", "extents", "first", "start")

    def __init__(self, data: bytes) -> None:
        mark, self.count, *corners = _FORM.unpack_from(data)
        if mark != _MARK or self.count < 1:
            raise ValueError("a stored region does not begin as it should")
        low, high = corners[:3], corners[3:]
        self.extents = Box((low[0], low[1], low[2]), (high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1))
        """The least box of blocks that has it."""
        pages = -(-self.count // PAGE)
        names = np.frombuffer(data, "<i4", 2 * pages, _FORM.size).reshape(-1, 2)
        self.first: NDArray[np.int64] = row_keys(names[:, 0], names[:, 1])
        """The row of the first span of each page."""
        self.start = _size_of_head(pages)

    def places(self, low: int, high: int) -> tuple[int, int]:
        """Where the spans of the rows with low <= key <= high are: the first byte and the one behind the last."""
        begin = max(0, int(np.searchsorted(self.first, low)) - 1) * PAGE
        end = min(self.count, int(np.searchsorted(self.first, high, side="right")) * PAGE)
        return self.start + begin * SPAN, self.start + max(begin, end) * SPAN


def _size_of_head(pages: int) -> int:
    return _FORM.size + -(-pages * 8 // SPAN) * SPAN


def pack(spans: Spans) -> list[bytes]:
    """A kernel: the stored form of normal spans, at least one, in pieces."""
    low, high = spans[:, :3].min(axis=0), spans[:, (0, 1, 3)].max(axis=0)
    names = spans[::PAGE, :2].astype("<i4").tobytes()
    head = _FORM.pack(_MARK, len(spans), *low.tolist(), *high.tolist()) + names
    head = head.ljust(_size_of_head(-(-len(spans) // PAGE)), b"\x00")
    step = _PIECE // SPAN
    return [head, *(spans[at : at + step].astype("<i4", copy=False).tobytes() for at in range(0, len(spans), step))]


async def read_head(value: Value) -> Head:
    """The head of a stored region."""
    return Head(await value.read(0, min(value.size, _HEAD)))


async def read_spans(value: Value, head: Head, low: int, high: int) -> AsyncIterator[Spans]:
    """The spans of the rows with low <= key <= high, in pieces of at most 65,536."""
    start, stop = head.places(low, high)
    if start == stop:
        return
    async for piece in value.chunks(start, stop):
        spans = np.frombuffer(piece, "<i4").reshape(-1, 4)
        if row_key(*spans[0, :2].tolist()) < low or row_key(*spans[-1, :2].tolist()) > high:
            rows = row_keys(spans[:, 0], spans[:, 1])
            spans = spans[np.searchsorted(rows, low) : np.searchsorted(rows, high, side="right")]
        if len(spans):
            yield spans
