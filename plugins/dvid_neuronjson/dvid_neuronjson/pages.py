"""`Page`: some hundred annotations in order of their ids.  It never changes; what is computed from it is kept with
it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from .annotation import NULL, Row, mark_name
from .columns import Column
from .values import moment

FULL = 384
"""Annotations in a page as it is loaded: a write copies one page (a few us), and a query looks at each page."""
LARGEST = 512

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

    __slots__ = ("_columns", "_summary", "disputed", "ids", "marks", "texts")

    def __init__(self, ids: tuple[int, ...], texts: tuple[bytes, ...], marks: tuple[bytes, ...]) -> None:
        self.ids, self.texts, self.marks = ids, texts, marks
        self.disputed = b"" in texts
        """Whether parents of a merge disagree about one of them."""
        self._columns: dict[str, Column] = {}
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

    def changed(self, rows: Mapping[int, Row | None]) -> list[Page]:
        """The pages that take its place when these annotations are put, or removed (None)."""
        if len(rows) == 1:
            ((body, row),) = rows.items()
            at = bisect_left(self.ids, body)
            here = at < len(self.ids) and self.ids[at] == body
            if row is None and not here:
                return [self]
            if row is not None and here:
                texts = (*self.texts[:at], row[0], *self.texts[at + 1 :])
                return [Page(self.ids, texts, (*self.marks[:at], row[1], *self.marks[at + 1 :]))]
        merged: dict[int, Row | None] = dict(zip(self.ids, zip(self.texts, self.marks)))
        merged.update(rows)
        return pages_of([(b, r) for b, r in sorted(merged.items()) if r is not None])

    # -- what is computed once

    def column(self, field: str) -> Column:
        """The values of a field, by value; made when it is asked for first."""
        found = self._columns.get(field)
        if found is None:
            found = self._columns[field] = Column(self._values(field))
        return found

    def forget(self, field: str) -> None:
        """Drop the column of a field."""
        self._columns.pop(field, None)

    def _values(self, field: str) -> Iterable[Any]:
        if field == "bodyid":
            return self.ids
        mark = mark_name(field)
        if mark is not None:
            return [_mark_of(groups, *mark) for groups in map(_groups.decode, self.marks)]
        data = b"[" + b",".join(self.texts) + b"]"
        decoder = column_decoder(field)
        if decoder is None:
            return [found.get(field, UNSET) for found in _any_objects.decode(data)]
        return [found.f for found in decoder.decode(data)]

    def summary(self) -> Summary:
        """Names and times; made when it is asked for first."""
        if self._summary is None:
            counts: dict[str, int] = {}
            latest: dict[str, tuple[datetime, str]] = {}
            objects = _objects.decode(b"[" + b",".join(self.texts) + b"]")
            for found, text in zip(objects, self.marks):
                for name in found:
                    counts[name] = counts.get(name, 0) + 1
                for user, time, fields in _groups.decode(text):
                    at = moment(time) if isinstance(time, str) else None
                    for field in fields:
                        if field not in found:
                            counts[field] = counts.get(field, 0) + 1
                        if user is not None:
                            counts[field + "_user"] = counts.get(field + "_user", 0) + 1
                        if time is not None:
                            counts[field + "_time"] = counts.get(field + "_time", 0) + 1
                        if at is not None and (field not in latest or latest[field][0] < at):
                            latest[field] = (at, time)
            self._summary = Summary(counts, latest)
        return self._summary


def pages_of(rows: Sequence[tuple[int, Row]]) -> list[Page]:
    """Pages of (id, row) in order of the ids: one, or several of even size."""
    if not rows:
        return []
    count = 1 if len(rows) <= LARGEST else -(-len(rows) // FULL)
    size = -(-len(rows) // count)
    return [Page.of(rows[at : at + size]) for at in range(0, len(rows), size)]


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


__all__ = ["FULL", "NULL", "Page", "Summary", "column_decoder", "pages_of", "plain_name"]
