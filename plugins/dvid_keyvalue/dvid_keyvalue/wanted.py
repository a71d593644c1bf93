"""The keys that a `GET keyvalues` asks for, and parts of their values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from dvid_messages import parse
from dvid_messages.keyvalues import Keys

from dvid_core import BadRequest, View, parse_json

from .forms import Form, Item, undisputed
from .keys import KEY
from .ranges import checked_range

MANY = 256
"""How many values are looked up at a time."""

Bounds = tuple[int, int] | None
"""The first and the last byte of the part that is wanted, or all."""

Place = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class KeyRange(Protocol):
    """A key, and the first and last byte that are wanted of its value, or None for both."""

    @property
    def key(self) -> str: ...
    @property
    def byte_start(self) -> int | None: ...
    @property
    def byte_end(self) -> int | None: ...


class JsonRange(msgspec.Struct, forbid_unknown_fields=True):
    """A `KeyRange` in JSON."""

    key: str
    byte_start: Place | None = None
    byte_end: Place | None = None

    def __post_init__(self) -> None:
        if (self.byte_start is None) != (self.byte_end is None):
            raise ValueError("byte_start and byte_end must be given together")


class Wanted:
    """What is asked for, in order: keys, then keys with parts."""

    def __init__(self, keys: Sequence[str], ranges: Sequence[KeyRange]) -> None:
        self._keys, self._ranges = keys, ranges

    def _pages(self, only_parts: bool) -> Iterator[list[tuple[str, Bounds]]]:
        # What is in a message becomes objects one page at a time, since they take far more memory than it does.
        if not only_parts:
            for at in range(0, len(self._keys), MANY):
                yield [(key, None) for key in self._keys[at : at + MANY]]
        for at in range(0, len(self._ranges), MANY):
            page = [(r.key, _bounds(r)) for r in self._ranges[at : at + MANY]]
            yield [(key, bounds) for key, bounds in page if bounds is not None] if only_parts else page

    async def items(self, view: View, *, only_parts: bool = False) -> AsyncIterator[list[Item]]:
        """Pages of what is found; `only_parts` leaves out what is wanted whole.

        Raises `BadRequest` for a part that its value does not have.
        """
        for asked in self._pages(only_parts):
            page: list[Item] = []
            tkeys = [KEY.key(key) for key, _ in asked]
            for (key, bounds), tkey, found in zip(asked, tkeys, await view.find_many(tkeys)):
                value = undisputed(view, tkey, found)
                part = None
                if bounds is not None and value is not None:
                    part = checked_range(*bounds, value.size, f"key {key[:80]!r}: ")
                page.append((key, value, part))
            yield page
            await asyncio.sleep(0)  # keys of which nothing is stored are looked up without a wait


def _bounds(part: KeyRange) -> Bounds:
    return None if part.byte_start is None or part.byte_end is None else (part.byte_start, part.byte_end)


def read_wanted(data: bytes, form: Form) -> Wanted:
    """The body of a request: a Keys message, or JSON for the forms that are not protobuf."""
    if form == "protobuf":
        message: Any = parse(Keys, data)
        return Wanted(message.keys, message.key_ranges)
    body = parse_json(data, list[str | JsonRange] | None, "the list of keys") or []
    keys = [k for k in body if isinstance(k, str)]
    if keys and len(keys) < len(body):
        raise BadRequest("the list of keys has both strings and objects; give one or the other")
    return Wanted(keys, [] if keys else body)
