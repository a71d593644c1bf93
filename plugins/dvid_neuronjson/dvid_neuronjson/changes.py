"""What an edit changes in one annotation: for the history, and for bringing memory up to date."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from .annotation import NULL, Annotation, Mark, Row

NO_MARK: Mark = (NULL, NULL)

UNTOLD = "untold"
"""Stands in the log for more changes than a record holds."""


class Change(msgspec.Struct, omit_defaults=True):
    """The difference between two states of an annotation; it holds values, so making it twice does no harm."""

    body: int
    set: dict[str, Raw] = {}
    gone: list[str] = []
    """Fields that are removed."""
    marks: dict[str, Mark] = {}
    """Marks as they are now; two nulls where one is removed."""
    deleted: bool = False
    """The whole annotation is removed."""
    id: int = 0
    """The mutation's."""
    uuid: str = ""
    """The version it was made in."""
    time: float = 0.0
    """Seconds since 1970 (UTC)."""
    user: str = ""
    app: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Change)


def pack(change: Change) -> bytes:
    """The stored form."""
    return _encoder.encode(change)


def unpack(data: bytes) -> Change:
    """A change from its stored form."""
    return _decoder.decode(data)


def between(body: int, old: Annotation | None, new: Annotation) -> Change | None:
    """What turns `old` into `new`; None when they are the same."""
    before = old or Annotation({}, {})
    fields, marks = before.fields, before.marks
    change = Change(
        body,
        {f: v for f, v in new.fields.items() if fields.get(f) != v},
        [f for f in fields if f not in new.fields],
        {f: m for f, m in new.marks.items() if marks.get(f) != m} | {f: NO_MARK for f in marks if f not in new.marks},
    )
    return change if change.set or change.gone or change.marks or old is None else None


def changed(row: Row | None, change: Change) -> Row | None:
    """The annotation after a change; None when it is removed."""
    if change.deleted:
        return None
    found = Annotation.of_row(row) if row is not None and row[0] else Annotation({}, {})
    for field in change.gone:
        found.fields.pop(field, None)
    found.fields.update(change.set)
    for field, mark in change.marks.items():
        if mark == NO_MARK:
            found.marks.pop(field, None)
        else:
            found.marks[field] = mark
    return found.row()
