"""The stored value of a cell: its elements.

    u32 LE           how many there are
    RECORD           for each, in the order of the text
    text             "x,y,z":[<element>,...],"x,y,z":[...]    by block, as `all-elements` shows it

The text is joined into replies as it is.  The text of the i-th element begins where the i-th `SEPARATOR` is.
A value without bytes says that the elements of the cell lie in finer ones.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dvid_voxels.geometry import Triple

from .elements import SEPARATOR
from .grid import Grid

RECORD = np.dtype(
    [
        ("position", "<i4", (3,)),
        ("supervoxel", "<u8"),
        ("label_segment", "<u8"),
        ("tag_segment", "<u8"),
        ("size", "<u4"),
        ("bare", "<u4"),
    ]
)
"""An element: its position z, y, x; the supervoxel under it when it was filed, 0 for none; the segments of the lists
of its label and of its tags that have it; bytes of its text, and of the part before its relationships."""

WIDTH = RECORD.itemsize
MOST = 24
"""Elements of a cell; one with more is cut up.  A POST rewrites the cells it touches, so they are small."""

LARGEST = 4096
"""Bytes of a cell with several elements; a larger one is cut up."""

Records: TypeAlias = NDArray[Any]
"""An array of `RECORD`."""

_pack = struct.Struct("<3i3Q2I")
_position = struct.Struct("<3i")
_count = struct.Struct("<I")
_SKIP = len(SEPARATOR)


class Item(NamedTuple):
    """An element in a cell."""

    position: Triple
    supervoxel: int
    label_segment: int
    tag_segment: int
    bare: int
    text: bytes

    @property
    def shown(self) -> bytes:
        """Its text in lists of labels and tags."""
        return self.text[: self.bare] + b"}"

    def record(self) -> bytes:
        """Its `RECORD`."""
        z, y, x = self.position
        return _pack.pack(
            z, y, x, self.supervoxel, self.label_segment, self.tag_segment, len(self.text), self.bare
        )  # fmt: skip


def count_of(value: bytes) -> int:
    """How many elements a value that is not empty has."""
    return int(_count.unpack_from(value)[0])


def records_of(value: bytes) -> Records:
    """The records of a value."""
    return np.frombuffer(value, RECORD, count_of(value), 4)


def text_part(value: bytes) -> bytes:
    """The text of a value."""
    return value[4 + WIDTH * count_of(value) :]


def all_records(values: Sequence[bytes]) -> Records:
    """The records of several values."""
    return np.frombuffer(b"".join([v[4 : 4 + WIDTH * count_of(v)] for v in values]), RECORD)


def all_ends(values: Sequence[bytes]) -> list[bytes]:
    """For each element of several values its text behind the `SEPARATOR`, followed by a few bytes that are not its."""
    out: list[bytes] = []
    for value in values:
        out += value[4 + WIDTH * count_of(value) :].split(SEPARATOR)[1:]
    return out


def joined(ends: Sequence[bytes], sizes: Sequence[int]) -> bytes:
    """Elements of `all_ends` separated by commas; `sizes` are those of their texts."""
    if not ends:
        return b""
    return SEPARATOR + b',{"Pos":['.join([end[: size - _SKIP] for end, size in zip(ends, sizes)])


def items_of(value: bytes) -> list[Item]:
    """All elements of a value."""
    records = records_of(value)
    sizes = records["size"].tolist()
    return [
        Item((z, y, x), supervoxel, labels, tags, bare, SEPARATOR + end[: size - _SKIP])
        for (z, y, x), supervoxel, labels, tags, bare, size, end in zip(
            records["position"].tolist(), records["supervoxel"].tolist(), records["label_segment"].tolist(),
            records["tag_segment"].tolist(), records["bare"].tolist(), sizes, all_ends([value]),
        )
    ]  # fmt: skip


def value_of(items: Sequence[Item], grid: Grid) -> bytes:
    """The value that has these elements."""
    by_block: dict[Triple, list[Item]] = {}
    bz, by, bx = grid.block
    for item in items:
        z, y, x = item.position
        by_block.setdefault((z // bz, y // by, x // bx), []).append(item)
    records, texts = [], []
    for at, some in sorted(by_block.items()):
        records += [item.record() for item in some]
        texts.append(grid.key_text(at) + b",".join([item.text for item in some]) + b"]")
    return _count.pack(len(items)) + b"".join(records) + b",".join(texts)


def with_item(value: bytes, item: Item, key: bytes) -> bytes | None:
    """The value with one more element, of the block of that `Grid.key_text`; None when its position is taken."""
    count = _count.unpack_from(value)[0]
    stop = 4 + WIDTH * count
    (z, y, x), supervoxel, labels, tags, bare, text = item
    record = _pack.pack(z, y, x, supervoxel, labels, tags, len(text), bare)
    found = value.find(record[:12], 4, stop)
    while found >= 0:
        if (found - 4) % WIDTH == 0:
            return None
        found = value.find(record[:12], found + 1, stop)
    at = value.find(key, stop)
    if at < 0:
        return b"".join((_count.pack(count + 1), value[4:stop], record, value[stop:], b",", key, text, b"]"))
    behind = at + len(key)
    cut = 4 + WIDTH * value.count(SEPARATOR, stop, at)
    return b"".join(
        (_count.pack(count + 1), value[4:cut], record, value[cut:stop], value[stop:behind], text, b",", value[behind:])
    )


def is_large(value: bytes) -> bool:
    """Whether a cell of this value is to be cut up."""
    return len(value) > LARGEST or count_of(value) > MOST


def changed_records(value: bytes, records: Records) -> bytes:
    """The value with other records; texts and their sizes stay."""
    return value[:4] + records.tobytes() + value[4 + WIDTH * len(records) :]


def element_at(value: bytes, position: Triple) -> bytes | None:
    """The text of the element at a position, if the value has it."""
    stop = 4 + WIDTH * count_of(value)
    z, y, x = position
    wanted = _position.pack(z, y, x)
    found = value.find(wanted, 4, stop)
    while found >= 0 and (found - 4) % WIDTH:
        found = value.find(wanted, found + 1, stop)
    if found < 0:
        return None
    begin = value.find(b'{"Pos":[%d,%d,%d],' % (x, y, z), stop)
    size = _count.unpack_from(value, found + WIDTH - 8)[0]
    return value[begin : begin + size]


def chosen_texts(values: Sequence[bytes], chosen: NDArray[np.bool_]) -> list[bytes]:
    """The texts of some elements of several values."""
    sizes = all_records(values)["size"][chosen].tolist()
    ends = all_ends(values)
    return [SEPARATOR + ends[i][: size - _SKIP] for i, size in zip(np.flatnonzero(chosen).tolist(), sizes)]


def chosen_text(values: Sequence[bytes], chosen: NDArray[np.bool_]) -> bytes:
    """The same, separated by commas."""
    sizes = all_records(values)["size"][chosen].tolist()
    ends = all_ends(values)
    return joined([ends[i] for i in np.flatnonzero(chosen).tolist()], sizes)
