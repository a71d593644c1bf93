"""Lists of labels and tags, kept in segments: the stored value of one.

    u32 LE       how many elements it has
    ENTRY        for each, in the order of the text
    text         elements without relationships, separated by commas

An element's record says in which segment it is; a list may have any number of them.  A segment belongs to all tags of
its elements, under the key of each; that of a label moves with its elements to other labels, and may then be under
several, each with its own part.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .elements import SEPARATOR

ENTRY = np.dtype(
    [("position", "<i4", (3,)), ("supervoxel", "<u8"), ("size", "<u4"), ("kind", "u1"), ("spare", "u1", (3,))]
)
"""Position z, y, x; the supervoxel (in lists of labels); bytes of the text; kind."""

WIDTH = ENTRY.itemsize
MOST = 64
"""Elements of a segment when it is made."""

LARGEST = 7600
"""Bytes of one with several elements; values of 8 KiB and more are slower to scan."""

Entries: TypeAlias = NDArray[Any]
"""An array of `ENTRY`."""

_count = struct.Struct("<I")


class Segment:
    """Entries and their texts."""

    __slots__ = ("entries", "texts")

    def __init__(self, entries: Entries, texts: Sequence[bytes]) -> None:
        self.entries, self.texts = entries, texts

    def __len__(self) -> int:
        return len(self.texts)

    def value(self) -> bytes:
        """The stored value."""
        return _count.pack(len(self.texts)) + self.entries.tobytes() + b",".join(self.texts)

    def part(self, chosen: NDArray[np.bool_]) -> Segment:
        """Some of it."""
        return Segment(self.entries[chosen], [self.texts[i] for i in np.flatnonzero(chosen).tolist()])

    def joined(self, other: Segment) -> Segment:
        """Both."""
        return Segment(np.concatenate([self.entries, other.entries]), [*self.texts, *other.texts])


def count_of(value: bytes) -> int:
    """How many elements a value has."""
    return int(_count.unpack_from(value)[0])


def entries_of(value: bytes) -> Entries:
    """The entries of a value."""
    return np.frombuffer(value, ENTRY, count_of(value), 4)


def text_of(value: bytes) -> bytes:
    """The text of a value."""
    return value[4 + WIDTH * count_of(value) :]


def segment_of(value: bytes) -> Segment:
    """A stored value."""
    entries = entries_of(value)
    skip = len(SEPARATOR)
    ends = text_of(value).split(SEPARATOR)[1:]
    return Segment(entries, [SEPARATOR + end[: size - skip] for end, size in zip(ends, entries["size"].tolist())])


def all_entries(values: Sequence[bytes]) -> Entries:
    """The entries of several values."""
    return np.frombuffer(b"".join([v[4 : 4 + WIDTH * count_of(v)] for v in values]), ENTRY)


def make_entries(
    positions: NDArray[Any], supervoxels: NDArray[np.uint64] | int, sizes: Sequence[int], kinds: NDArray[np.uint8]
) -> Entries:
    """Entries from columns."""
    entries = np.zeros(len(positions), ENTRY)
    entries["position"], entries["supervoxel"] = positions, supervoxels
    entries["size"], entries["kind"] = sizes, kinds
    return entries
