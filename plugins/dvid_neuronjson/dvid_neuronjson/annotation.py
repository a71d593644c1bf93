"""One annotation: its fields, and for each field who set it and when (its mark).

Stored, and held in memory, as two JSON texts:

    {"bodyid":17,"status":"Traced","type":"KC"}
    [["ann","2024-05-01T12:00:00Z",["status","type"]]]

the fields as most replies want them, and the marks, grouped by user and time.  A mark is what clients see as the fields
`X_user` and `X_time`; a removed field leaves its mark behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw

from .values import encode

NULL = Raw(b"null")

Mark: TypeAlias = tuple[Raw, Raw]
"""The JSON texts of a field's user and time; `null` stands for an absent one."""

Row: TypeAlias = tuple[bytes, bytes]
"""The two texts of an annotation.  The first is empty when parents of a merge disagree about the annotation, and the
second then lists their versions."""

NO_MARKS = b"[]"

Side: TypeAlias = Literal["user", "time"]

_fields = msgspec.json.Decoder(dict[str, Raw])
_groups = msgspec.json.Decoder(list[tuple[Raw, Raw, list[str]]])


def mark_name(name: str) -> tuple[str, Side] | None:
    """(field, side) when `name` is that of a mark, `X_user` or `X_time`."""
    if name.endswith("_user"):
        return name[:-5], "user"
    if name.endswith("_time"):
        return name[:-5], "time"
    return None


class Annotation(msgspec.Struct):
    """Fields and marks, each value as its JSON text."""

    fields: dict[str, Raw]
    marks: dict[str, Mark]

    @classmethod
    def of_row(cls, row: Row) -> Annotation:
        """From its two texts."""
        marks = {f: (user, time) for user, time, names in _groups.decode(row[1]) for f in names}
        return cls(_fields.decode(row[0]), marks)

    def row(self) -> Row:
        """Its two texts."""
        groups: dict[tuple[bytes, bytes], list[str]] = {}
        for field in sorted(self.marks):
            user, time = self.marks[field]
            groups.setdefault((bytes(user), bytes(time)), []).append(field)
        return encode(self.fields), encode([(Raw(u), Raw(t), names) for (u, t), names in groups.items()])

    def names(self) -> Iterator[str]:
        """All names that clients can see, those of marks included."""
        yield from self.fields
        for field, (user, time) in self.marks.items():
            if user != NULL:
                yield field + "_user"
            if time != NULL:
                yield field + "_time"


def stored(row: Row) -> bytes:
    """The stored value: the two texts in two lines."""
    return b"\n".join(row)


def row_of(value: bytes) -> Row:
    """The two texts of a stored value."""
    text, _, marks = value.partition(b"\n")
    return text, NO_MARKS if marks == NO_MARKS else marks
