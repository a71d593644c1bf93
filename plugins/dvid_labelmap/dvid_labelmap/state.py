"""`State`: what a labelmap keeps in memory, written by log records alone.

The payload of a record is a dict, all keys optional:

    max, next   see `Counters`
    map         bytes: n supervoxels, then their n bodies, u64 LE
    posted      a mutation id: the mapping is under `keys.POSTED`
    splits      [[mutation id, supervoxel, remain, split], ...], see supervoxel-splits
    mended      a mutation id: its splits are undone
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from dvid_voxels.segmentation.counters import Counters

from .mapping import Labels, Layer, Mapping
from .snapshot import Head


class State(Counters):
    """One per instance.  `apply` is its only writer."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = Mapping()
        self.numbers: dict[int, int] = {}
        """By version: the last log record in here."""
        self.splits: dict[int, list[list[int]]] = {}
        """By version: [mutation id, supervoxel, remain, split] of each split, in order; also [mutation id, part,
        supervoxel, supervoxel] of each part that was put back.  Grows at its end only."""
        self.mended: dict[int, list[int]] = {}
        """By version: the mutation ids of splits that were undone in it."""
        self.fresh = 0
        """Records since the last snapshot."""
        self.incoming: dict[int, tuple[Labels, Labels]] = {}
        """Posted mappings whose records come now, by mutation id; `mapping.ordered`."""

    def apply(self, version: int, number: int, payload: Any) -> None:
        """Take on a record."""
        if number <= self.numbers.get(version, 0):
            return
        self.numbers[version] = number
        self.fresh += 1
        super().apply(version, number, payload)
        if not isinstance(payload, dict):
            return
        if "map" in payload:
            self.mapping.add(version, *unpack_pairs(payload["map"]))
        if "splits" in payload:
            self.splits.setdefault(version, []).extend(payload["splits"])
        if "mended" in payload:
            self.mended.setdefault(version, []).append(payload["mended"])
        if "posted" in payload:
            self.mapping.add(version, *self.incoming.pop(payload["posted"]), sort=False)

    # -- snapshots

    def head(self, layer: Layer) -> Head:
        """The state besides the mapping, whose entries are `layer`."""
        return Head(
            dict(self.numbers), list(self.mapping.versions), dict(self.maxima), self.next_label, self.ceiling,
            self.turn, {v: list(s) for v, s in self.splits.items()}, len(layer.supervoxels),
            {v: list(s) for v, s in self.mended.items()},
        )  # fmt: skip

    def load(self, head: Head, layer: Layer) -> None:
        """Begin with a snapshot."""
        self.mapping.load(head.versions, layer)
        self.maxima, self.numbers = dict(head.maxima), dict(head.numbers)
        self.next_label, self.ceiling, self.turn = head.next_label, head.ceiling, head.turn
        self.splits = {v: list(s) for v, s in head.splits.items()}
        self.mended = {v: list(s) for v, s in head.mended.items()}

    def splits_of(self, order: Iterable[int]) -> Iterator[tuple[int, list[list[int]]]]:
        """By version, in this order, the splits that were not undone in any of them."""
        versions = list(order)
        undone = {n for v in versions for n in self.mended.get(v, ())}
        for version in versions:
            found = [s for s in self.splits.get(version, ()) if s[0] not in undone and s[2] != s[3]]
            if found:
                yield version, found


def pack_pairs(supervoxels: Labels, bodies: Labels) -> bytes:
    """A mapping as bytes."""
    return supervoxels.astype("<u8").tobytes() + bodies.astype("<u8").tobytes()


def unpack_pairs(data: bytes) -> tuple[Labels, Labels]:
    """A mapping from bytes."""
    both = np.frombuffer(data, "<u8")
    return both[: len(both) // 2], both[len(both) // 2 :]


__all__ = ["State", "pack_pairs", "unpack_pairs"]
