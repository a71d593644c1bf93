"""Counts of labels as arrays: (n, 4) of u32, a column for each kind of element."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dvid_core import MergeConflict, Mutation, View

from .keys import COUNTS

Labels = NDArray[np.uint64]
Counts = NDArray[np.uint32]
Changes = NDArray[Any]
"""An array of `dvid_voxels.annotation_events.FILED`."""

IndexType = Literal["PostSyn", "PreSyn", "Gap", "Note", "AllSyn", "Voxels"]

COLUMNS = ("PostSyn", "PreSyn", "Gap", "Note")
"""Kinds that are counted; those of elements are numbered from 1 in this order, 0 is none of them."""

SYNAPTIC = 3
"""The first so many columns make up AllSyn."""

MOST = 2**32 - 1
"""The highest count."""

TYPES: tuple[str, ...] = get_args(IndexType)

SLICE = 2048
"""Labels that are read or written before others are served."""


def column(counts: NDArray[Any], kind: str) -> NDArray[np.uint64]:
    """The counts of one index type."""
    if kind == "Voxels":
        return np.zeros(len(counts), np.uint64)
    if kind == "AllSyn":
        total: NDArray[np.uint64] = np.minimum(counts[:, :SYNAPTIC].sum(axis=1, dtype=np.uint64), MOST)
        return total
    return counts[:, COLUMNS.index(kind)].astype(np.uint64)


def folded(changes: Sequence[Changes]) -> tuple[Labels, NDArray[np.int64]]:
    """Labels, ascending, and what their counts change by."""
    all_changes = changes[0] if len(changes) == 1 else np.concatenate(changes)
    kinds = all_changes["kind"].astype(np.int64) - 1
    counted = (kinds >= 0) & (kinds < len(COLUMNS)) & (all_changes["label"] != 0)
    labels, places = np.unique(all_changes["label"][counted], return_inverse=True)
    sums = np.zeros((len(labels), len(COLUMNS)), np.int64)
    np.add.at(sums, (places.reshape(-1), kinds[counted]), all_changes["change"][counted].astype(np.int64))
    some = sums.any(axis=1)
    return labels[some], sums[some]


def joined(runs: Sequence[tuple[Labels, NDArray[np.int64]]]) -> tuple[Labels, NDArray[np.int64]]:
    """The sum of several foldings."""
    if len(runs) == 1:
        return runs[0]
    labels, places = np.unique(np.concatenate([r[0] for r in runs]), return_inverse=True)
    sums = np.zeros((len(labels), len(COLUMNS)), np.int64)
    places = places.reshape(-1)
    at = 0
    for own, change in runs:
        sums[places[at : at + len(own)]] += change  # a run has each label once
        at += len(own)
    return labels, sums


def as_counts(sums: NDArray[np.int64]) -> Counts:
    """Sums as they are stored: no count is below 0."""
    return np.clip(sums, 0, MOST).astype(np.uint32)


# -- stored rows


def tkeys_of(labels: Labels) -> list[bytes]:
    """The keys of labels."""
    prefix, numbers = COUNTS.key(), labels.astype(">u8").tobytes()
    return [prefix + numbers[i : i + 8] for i in range(0, len(numbers), 8)]


def labels_of(tkeys: Sequence[bytes]) -> Labels:
    """The labels of keys."""
    numbers = np.frombuffer(b"".join(tkeys), np.uint8).reshape(-1, 9)[:, 1:]
    return np.ascontiguousarray(numbers).view(">u8").reshape(-1).astype(np.uint64)


_NONE = bytes(4 * len(COLUMNS))


def unpacked(rows: Sequence[bytes | None]) -> Counts:
    """Counts from stored rows."""
    return np.frombuffer(b"".join([r or _NONE for r in rows]), "<u4").reshape(-1, len(COLUMNS))


def packed(counts: Counts) -> list[bytes]:
    """Rows to be stored; empty ones for labels that are to be removed."""
    data, size = counts.astype("<u4").tobytes(), len(_NONE)
    there: list[bool] = np.any(counts, axis=1).tolist()
    return [data[i * size : (i + 1) * size] if there[i] else b"" for i in range(len(counts))]


_ROW = struct.Struct("<4I")


async def read_count(view: View, label: int, kind: str) -> int:
    """The count of one label, without the arrays.  Raises `MergeConflict`."""
    row = await view.get(COUNTS.key(label))
    if row is None or kind == "Voxels":
        return 0
    counts = _ROW.unpack(row)
    return min(sum(counts[:SYNAPTIC]), MOST) if kind == "AllSyn" else int(counts[COLUMNS.index(kind)])


async def read_counts(view: View, labels: Labels) -> Counts:
    """The counts of labels in their order.  Raises `MergeConflict`."""
    out = np.zeros((len(labels), len(COLUMNS)), np.uint32)
    for at in range(0, len(labels), SLICE):
        rows = await view.get_many(tkeys_of(labels[at : at + SLICE]))
        out[at : at + len(rows)] = unpacked(rows)
        await asyncio.sleep(0)
    return out


async def change_counts(m: Mutation, labels: Labels, changes: NDArray[np.int64]) -> None:
    """Stage changes of counts; none falls below 0, and labels without any count are removed."""
    for at in range(0, len(labels), SLICE):
        tkeys = tkeys_of(labels[at : at + SLICE])
        rows = await _read(m, tkeys)
        old = unpacked([row or None for row in rows])
        new = as_counts(old.astype(np.int64) + changes[at : at + SLICE])
        for tkey, row, data in zip(tkeys, rows, packed(new)):
            if row == b"":
                continue
            if data:
                m.put(tkey, data)
            elif row is not None:
                m.delete(tkey)
        await asyncio.sleep(0)


async def _read(m: Mutation, tkeys: list[bytes]) -> list[bytes | None]:
    """The rows; empty ones where parents of a merge disagree: only a reload can tell what is right there."""
    try:
        return await m.get_many(tkeys)
    except MergeConflict:
        rows: list[bytes | None] = []
        for tkey in tkeys:
            try:
                rows.append(await m.get(tkey))
            except MergeConflict:
                rows.append(b"")
        return rows
