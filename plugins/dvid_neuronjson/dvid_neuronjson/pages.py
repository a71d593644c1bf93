"""`Page`: some hundred annotations in order of their ids.  It never changes; what is computed from it is kept with
it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from .annotation import Row, mark_name
from .columns import Column
from .values import moment

FULL = 384
"""Annotations in a page as it is loaded: a write copies one page (a few us), and a query looks at each page."""
LARGEST = 512

LARGEST_COLUMN = 64 * FULL
"""Characters of all different texts in a column that is kept: long notes are read again for each query."""

_objects = msgspec.json.Decoder(list[dict[str, Raw]])
_any_objects = msgspec.json.Decoder(list[dict[str, Any]])
_groups = msgspec.json.Decoder(list[tuple[Any, Any, list[str]]])


class Summary(msgspec.Struct, frozen=True):
    """Which names occur in a page how often, and when each field was set last."""

    counts: dict[str, int]
    """A field that was removed counts as long as its mark is there."""
    latest: dict[str, tuple[datetime, str]]


class Page:
    """Ids ascending, and the two texts of each annotation."""

    __slots__ = ("_summary", "columns", "disputed", "ids", "marks", "texts")

    def __init__(self, ids: tuple[int, ...], texts: tuple[bytes, ...], marks: tuple[bytes, ...]) -> None:
        self.ids, self.texts, self.marks = ids, texts, marks
        self.disputed = b"" in texts
        """Whether parents of a merge disagree about one of them."""
        self.columns: dict[str, Column] = {}
        """Those that stay, by field."""
        self._summary: Summary | None = None

    @classmethod
    def of(cls, rows: Sequence[tuple[int, Row]]) -> Page:
        """From (id, row) in order of the ids."""
        return cls(tuple([b for b, _ in rows]), tuple([r[0] for _, r in rows]), tuple([r[1] for _, r in rows]))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def everything(self) -> int:
        """The mask of all places."""
        return (1 << len(self.ids)) - 1

    def get(self, body: int) -> Row | None:
        """The two texts of an annotation."""
        at = bisect_left(self.ids, body)
        return (self.texts[at], self.marks[at]) if at < len(self.ids) and self.ids[at] == body else None

    def cut(self, first: int, last: int) -> Page:
        """The annotations with first <= id <= last; itself when those are all."""
        low, high = bisect_left(self.ids, first), bisect_right(self.ids, last)
        if high - low == len(self.ids):
            return self
        return Page(self.ids[low:high], self.texts[low:high], self.marks[low:high])

    def portions(self, size: int) -> Iterator[Page]:
        """Pages of at most `size` annotations, for work that gives others their turn in between."""
        if len(self.ids) <= size:
            yield self
            return
        for at in range(0, len(self.ids), size):
            part = slice(at, at + size)
            yield Page(self.ids[part], self.texts[part], self.marks[part])

    def changed(self, rows: Mapping[int, Row | None]) -> list[Page]:
        """The pages that take its place when these annotations are put, or removed (None)."""
        ids, texts, marks = list(self.ids), list(self.texts), list(self.marks)
        for body, row in rows.items():
            at = bisect_left(ids, body)
            here = at < len(ids) and ids[at] == body
            if row is None:
                if here:
                    del ids[at], texts[at], marks[at]
            elif here:
                texts[at], marks[at] = row
            else:
                ids.insert(at, body)
                texts.insert(at, row[0])
                marks.insert(at, row[1])
        if not ids:
            return []
        count = 1 if len(ids) <= LARGEST else -(-len(ids) // FULL)
        size = -(-len(ids) // count)
        cuts = [slice(at, at + size) for at in range(0, len(ids), size)]
        return [Page(tuple(ids[c]), tuple(texts[c]), tuple(marks[c])) for c in cuts]

    # -- what is computed once

    def column(self, field: str, kept: Container[str] = ()) -> Column:
        """The values of a field, by value; it stays with the page if the field is `kept` and it is not too large."""
        found = self.columns.get(field)
        if found is None:
            found = Column(self._values(field))
            if field in kept and found.size <= LARGEST_COLUMN:
                self.columns[field] = found
        return found

    def forget(self, field: str) -> None:
        """Drop the column of a field."""
        self.columns.pop(field, None)

    def _values(self, field: str) -> Iterable[Any]:
        if field == "bodyid":
            return self.ids
        mark = mark_name(field)
        if mark is not None:
            found = {marks: _mark_of(_groups.decode(marks), *mark) for marks in set(self.marks)}
            return [found[marks] for marks in self.marks]
        data = b"[" + b",".join(self.texts) + b"]"
        decoder = column_decoder(field)
        if decoder is None:
            return [found.get(field, UNSET) for found in _any_objects.decode(data)]
        return [found.f for found in decoder.decode(data)]

    def summary(self) -> Summary:
        """Names and times; made when it is asked for first."""
        if self._summary is None:
            counts: Counter[str] = Counter()
            latest: dict[str, tuple[datetime, str]] = {}
            objects = _objects.decode(b"[" + b",".join(self.texts) + b"]")
            # Most annotations of a page have the same fields and the same marks, so each kind is counted once.
            kinds = Counter(zip(map(tuple, objects), self.marks))
            for (names, marks), number in kinds.items():
                _count(names, marks, number, counts, latest)
            self._summary = Summary(counts, latest)
        return self._summary


def _count(
    names: tuple[str, ...], marks: bytes, number: int, counts: Counter[str], latest: dict[str, tuple[datetime, str]]
) -> None:
    """Count `number` annotations that have these fields and these marks."""
    for name in names:
        counts[name] += number
    for user, time, fields in _groups.decode(marks):
        at = moment(time) if isinstance(time, str) else None
        for field in fields:
            if field not in names:
                counts[field] += number
            if user is not None:
                counts[field + "_user"] += number
            if time is not None:
                counts[field + "_time"] += number
            if at is not None and (field not in latest or latest[field][0] < at):
                latest[field] = (at, time)


def _mark_of(groups: list[tuple[Any, Any, list[str]]], field: str, side: str) -> Any:
    for user, time, fields in groups:
        if field in fields:
            value = user if side == "user" else time
            return UNSET if value is None else value
    return UNSET


def plain_name(field: str) -> bool:
    """Whether a Struct's field can have this name on the wire."""
    return bool(field) and not any(c in '"\\' or c < " " for c in field)


@lru_cache(256)
def column_decoder(field: str) -> msgspec.json.Decoder[Any] | None:
    """Decodes a list of objects to what they have as this field; None when its name is too odd for that."""
    if not plain_name(field):
        return None
    kind = msgspec.defstruct("OneField", [("f", Any, UNSET)], rename={"f": field})
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
