"""One field over a page of annotations, indexed by value: what queries look at.

Sets of annotations are bit masks over their places in the page.  Most values of most fields are either common or occur
once, so a value's set is kept as a place (0 and up) when it has one member, and as the complement of its mask (below 0)
else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

Scalar = str | int | float


class Column:
    """Which places of a page have which value of a field; values in lists count one by one."""

    __slots__ = ("_sets", "present")

    def __init__(self, values: Iterable[Any]) -> None:
        sets: dict[Scalar, int] = {}
        present = 0
        for place, value in enumerate(values):
            if value is not msgspec.UNSET:
                present |= 1 << place
                if type(value) is list:
                    for item in value:
                        _add(sets, item, place)
                else:
                    _add(sets, value, place)
        self._sets, self.present = sets, present

    def where(self, value: Scalar) -> int:
        """The mask of the places that have `value`, which is no bool."""
        found = self._sets.get(value)
        return 0 if found is None else 1 << found if found >= 0 else ~found

    def where_any(self, values: frozenset[Scalar]) -> int:
        """The mask of the places that have one of `values`."""
        sets, mask = self._sets, 0
        for value in values if len(values) <= len(sets) else sets.keys() & values:
            found = sets.get(value)
            if found is not None:
                mask |= 1 << found if found >= 0 else ~found
        return mask

    def texts(self) -> list[str]:
        """The different texts among the values."""
        return [v for v in self._sets if type(v) is str]

    @property
    def size(self) -> int:
        """Characters of all different texts."""
        return sum([len(text) for text in self.texts()])


def _add(sets: dict[Scalar, int], value: Any, place: int) -> None:
    # True == 1 in Python, and a query for 1 must not find it; objects and lists within lists answer to no query.
    if type(value) not in (str, int, float):
        return
    before = sets.get(value)
    if before is None:
        sets[value] = place
    elif before < 0:
        sets[value] = before & ~(1 << place)
    elif before != place:
        sets[value] = ~(1 << before | 1 << place)


def places(mask: int) -> list[int]:
    """The places in a mask, ascending."""
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out
