"""Which parts of annotations a reply shows: the options `fields` and `show`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw

from dvid_core import About

from .annotation import NULL, Row, mark_name
from .pages import LARGEST, Page, plain_name

_groups = msgspec.json.Decoder(list[tuple[Raw, Raw, list[Raw]]])
_fields = msgspec.json.Decoder(dict[str, Raw])
_name = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode

PORTION = 96
"""Annotations that are cut down at a time: up to 40 us each."""

MOST = 1000
"""Fields that are picked by one decoder."""


class Shown(msgspec.Struct, frozen=True):
    """What is shown of annotations."""

    show: Annotated[
        str, About("`user`: with the fields X_user, who set X; `time`: with X_time, when; `all`: with both")
    ] = ""
    fields: Annotated[str, About("names separated by commas: only these fields, and always bodyid")] = ""

    def selection(self) -> Selection:
        """The selection that is asked for."""
        return _PLAIN if not self.fields and not self.show else _selection(self.fields, self.show)


class Selection:
    """Cuts the texts of annotations down to what is wanted."""

    def __init__(self, fields: Sequence[str] = (), show: str = "") -> None:
        self.only_ids = list(fields) == ["bodyid"]
        self._users, self._times = show in ("user", "all"), show in ("time", "all")
        marks = {f: m for f in fields if (m := mark_name(f)) is not None}
        names = sorted({f for f in fields if f not in marks and f != "bodyid"})
        self._some = bool(fields)
        self._marked: dict[str, tuple[bool, bool]] = {}
        for name in names if self._users or self._times else ():
            self._marked[name] = (self._users, self._times)
        for field, side in marks.values():
            user, time = self._marked.get(field, (False, False))
            self._marked[field] = (user or side == "user", time or side == "time")
        self._names = names
        self._picker, self._pickers = self._pick(names) if self._some else (None, None)
        self.verbatim = not self._some and not self._users and not self._times
        self.portion = LARGEST if self.verbatim else PORTION
        """How many annotations to take at a time."""

    def _pick(self, names: list[str]) -> tuple[msgspec.json.Decoder[Any] | None, msgspec.json.Decoder[Any] | None]:
        """Decoders of one and of many objects to these fields; none when a name is too odd for a Struct."""
        if len(names) > MOST or not all(map(plain_name, names)):
            return None, None
        wire = {f"f{i}": name for i, name in enumerate(["bodyid", *names])}
        kind = msgspec.defstruct("Picked", [(f, Raw, UNSET) for f in wire], rename=wire)
        return msgspec.json.Decoder(kind), msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]

    def one(self, row: Row) -> bytes:
        """The JSON of one annotation."""
        text, marks = row
        if self.verbatim:
            return text
        if self._picker is not None:
            text = _encode(self._picker.decode(text))
        elif self._some:
            found = _fields.decode(text)
            text = _encode({n: found[n] for n in ("bodyid", *self._names) if n in found})
        tail = b"" if self._some and not self._marked else self._marks(marks)
        return text[:-1] + tail if tail else text

    def _marks(self, marks: bytes) -> bytes:
        """What is shown of these marks, as the end of an object; empty when it is nothing."""
        out = bytearray()
        for user, time, names in _groups.decode(marks):
            for name in names:
                users, times = self._users, self._times
                if self._some:
                    users, times = self._marked.get(_name.decode(name), (False, False))
                head = bytes(name)[:-1]
                if users and user != NULL:
                    out += b',%b_user":%b' % (head, user)
                if times and time != NULL:
                    out += b',%b_time":%b' % (head, time)
        return bytes(out) + b"}" if out else b""

    def many(self, page: Page, places: Sequence[int] | None = None) -> list[bytes]:
        """The JSON of the annotations at these places of a page, or of all of it."""
        texts, marks = page.texts, page.marks
        if self.verbatim:
            return list(texts) if places is None else [texts[i] for i in places]
        if places is None:
            places = range(len(texts))
        if self._some and self._pickers is None:
            return [self.one((texts[i], marks[i])) for i in places]
        picked = [texts[i] for i in places]
        if self._pickers is not None:
            picked = list(map(_encode, self._pickers.decode(b"[" + b",".join(picked) + b"]")))
        if self._some and not self._marked:
            return picked
        # Annotations that were written together have the same marks.
        tails = {m: self._marks(m) for m in {marks[i] for i in places}}
        return [text[:-1] + tails[marks[i]] if tails[marks[i]] else text for text, i in zip(picked, places)]


_PLAIN = Selection()


@lru_cache(128)
def _selection(fields: str, show: str) -> Selection:
    return Selection(fields.split(",") if fields else (), show)


def is_bare(body: int, text: bytes) -> bool:
    """Whether nothing but the body id is in the text of an annotation."""
    return len(text) < 32 and len(text) == 11 + len(str(body))
