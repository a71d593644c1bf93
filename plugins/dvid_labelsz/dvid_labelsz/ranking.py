"""Labels in the order of their counts, in memory, for one version.

A rank is one u64: 2^32-1 minus the count, then the place of the label among all labels, which are sorted.  So sorted
ranks are ordered by count downwards, then by label upwards, and a change of some labels takes some of them out of the
array and puts others in.  Arrays are replaced, never changed, so that replies under way keep theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import MOST, TYPES, Counts, Labels, column

Ranks = NDArray[np.uint64]

_LOW = np.uint64(32)
_PLACE = np.uint64(2**32 - 1)
_COUNT = ~_PLACE


class Table:
    """All labels with their counts, and the ranks of those index types that were asked for."""

    def __init__(self, labels: Labels, counts: Counts, ranks: dict[str, Ranks] | None = None) -> None:
        self.labels, self.counts = labels, counts
        self._ranks: dict[str, Ranks] = ranks or {}

    def __len__(self) -> int:
        return len(self.labels)

    def has(self, kind: str) -> bool:
        """Whether the ranks of this index type are at hand."""
        return kind in self._ranks

    def ranks(self, kind: str) -> Ranks:
        """The ranks of the labels with a count of this index type.  A kernel, when they are not at hand."""
        found = self._ranks.get(kind)
        if found is None:
            counts = column(self.counts, kind)
            places = np.flatnonzero(counts)
            found = self._ranks[kind] = np.sort(_ranks(counts[places], places))
        return found

    def updated(self, labels: Labels, counts: Counts) -> Table:
        """The same with other counts of some labels, sorted ones, each once.  A kernel."""
        places = np.searchsorted(self.labels, labels)
        known = np.zeros(len(labels), bool)
        inside = places < len(self.labels)
        known[inside] = self.labels[places[inside]] == labels[inside]
        new = ~known & counts.any(axis=1)
        added = places[new]
        all_labels = np.insert(self.labels, added, labels[new])
        all_counts = np.insert(self.counts, added, 0, axis=0)
        some = known | new
        at = np.searchsorted(all_labels, labels[some])
        before, after = all_counts[at], counts[some]
        all_counts[at] = after
        ranks = {
            kind: _moved(_shifted(old, added), at, column(before, kind), column(after, kind))
            for kind, old in self._ranks.items()
        }
        return Table(all_labels, all_counts, ranks)

    def at_least(self, kind: str, count: int) -> int:
        """How many labels have so high a count, or higher; all that have one when `count` is 0."""
        ranks = self.ranks(kind)
        if count <= 1:
            return len(ranks)
        return int(np.searchsorted(ranks, np.uint64((MOST - count + 1) << 32)))

    def rows(self, kind: str, start: int, stop: int) -> tuple[list[int], list[int]]:
        """Labels and counts of the ranks start <= i < stop."""
        ranks = self.ranks(kind)[start:stop]
        labels = self.labels[(ranks & _PLACE).astype(np.int64)]
        return labels.tolist(), (np.uint64(MOST) - (ranks >> _LOW)).tolist()


def _ranks(counts: NDArray[np.uint64], places: NDArray[Any]) -> Ranks:
    out: Ranks = ((np.uint64(MOST) - counts) << _LOW) | places.astype(np.uint64)
    return out


def _shifted(ranks: Ranks, added: NDArray[np.intp]) -> Ranks:
    """Ranks after labels were put in before these places."""
    if not len(added):
        return ranks
    places = ranks & _PLACE
    out: Ranks = (ranks & _COUNT) | (places + np.searchsorted(added, places, side="right").astype(np.uint64))
    return out


def _moved(ranks: Ranks, places: NDArray[Any], before: NDArray[np.uint64], after: NDArray[np.uint64]) -> Ranks:
    """Ranks after the counts at some places changed."""
    gone, come = (before != after) & (before > 0), (before != after) & (after > 0)
    left = np.delete(ranks, np.searchsorted(ranks, _ranks(before[gone], places[gone])))
    new = np.sort(_ranks(after[come], places[come]))
    return np.insert(left, np.searchsorted(left, new), new)


def empty() -> Table:
    """The table of no labels."""
    return Table(np.empty(0, np.uint64), np.empty((0, 4), np.uint32), {kind: np.empty(0, np.uint64) for kind in TYPES})
