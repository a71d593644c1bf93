"""Queries: what a JSON query asks, and which annotations of a page answer it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

from dvid_core import BadRequest, parse_json

from .columns import Column, Scalar
from .keys import LARGEST
from .pace import Pace
from .pages import Page

MOST_CONDITIONS = 1000
MOST_PATTERNS = 100
REMEMBERED = 1 << 16
"""Texts of which a pattern remembers whether it is found in them."""


def _re2_options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 2 << 20  # of one compiled pattern
    return options


class Pattern:
    """A regular expression found anywhere in a text, in time linear in the text."""

    def __init__(self, source: str) -> None:
        """Raises `re2.error`."""
        self._search = re2.compile(source, _re2_options()).search
        self._known: dict[str, bool] = {}

    def found_in(self, text: str) -> bool:
        """Whether it is found; the answer is remembered, since most texts occur in many annotations."""
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[text] = self._search(text) is not None
        return known


class Condition:
    """What one field must be: there, not there, or of some values or patterns."""

    __slots__ = ("exists", "field", "patterns", "values")

    def __init__(self, field: str, *, exists: bool | None = None, values: frozenset[Scalar] = frozenset(),
                 patterns: tuple[Pattern, ...] = ()) -> None:  # fmt: skip
        self.field, self.exists, self.values, self.patterns = field, exists, values, patterns

    @property
    def cost(self) -> int:
        """In which order conditions are tried: what finds few at little cost comes first."""
        return 2 if self.exists is not None else 1 if self.patterns else 0

    def mask(self, page: Page) -> int:
        """The places of the page that fulfil it."""
        column = page.column(self.field)
        if self.exists is not None:
            return column.present if self.exists else page.everything & ~column.present
        mask = column.where_any(self.values) if self.values else 0
        for pattern in self.patterns:
            mask |= _where_found(column, pattern)
        return mask


def _where_found(column: Column, pattern: Pattern) -> int:
    return column.where_any(frozenset([text for text in column.texts() if pattern.found_in(text)]))


class Query:
    """A list of alternatives, each a list of conditions that must all hold."""

    def __init__(self, alternatives: list[list[Condition]]) -> None:
        self.alternatives = [sorted(a, key=lambda c: c.cost) for a in alternatives]
        self.fields = {c.field for a in alternatives for c in a}

    async def mask(self, page: Page, pace: Pace) -> int:
        """The places of a page that answer it."""
        out = 0
        for conditions in self.alternatives:
            mask = page.everything
            for condition in conditions:
                mask &= condition.mask(page)
                if pace.due:
                    await pace.step()
                if not mask:
                    break
            out |= mask
            if out == page.everything:
                break
        return out


_query = msgspec.json.Decoder(dict[str, msgspec.Raw])
_queries = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read_query(data: bytes) -> Query | list[int]:
    """The query in a request's body; the ids asked for when it names bodies only.  Raises `BadRequest`."""
    body = data.strip()
    if not body:
        raise BadRequest('the body is empty; a JSON object such as {"type": "KC"} is expected, or a list of them')
    kind = list[dict[str, msgspec.Raw]] if body.startswith(b"[") else dict[str, msgspec.Raw]
    found = parse_json(body, kind, "the query")
    asked: list[dict[str, msgspec.Raw]] = found if isinstance(found, list) else [found]
    if not asked:
        raise BadRequest("the list of queries is empty")
    if sum(map(len, asked)) > MOST_CONDITIONS or len(asked) > MOST_CONDITIONS:
        raise BadRequest(f"the query has more than {MOST_CONDITIONS} conditions")
    if all(field == "bodyid" for one in asked for field in one):
        ids = [_ids(raw) for one in asked for raw in one.values()]
        if None not in ids:
            return [body for some in ids for body in some or ()]
    query = Query([[_condition(field, raw) for field, raw in one.items()] for one in asked])
    if sum(len(c.patterns) for a in query.alternatives for c in a) > MOST_PATTERNS:
        raise BadRequest(f"the query has more than {MOST_PATTERNS} regular expressions")
    return query


def _ids(raw: msgspec.Raw) -> list[int] | None:
    """The body ids in a number or list of numbers; None when there is something else."""
    value = parse_json(bytes(raw), Any, "bodyid")
    values = value if isinstance(value, list) else [value]
    if any(type(v) is not int for v in values):
        return None
    return [v for v in values if 0 <= v <= LARGEST]


def _condition(field: str, raw: msgspec.Raw) -> Condition:
    value = parse_json(bytes(raw), Any, f"the condition of {field[:80]!r}")
    if isinstance(value, list):
        return _any_of(field, value)
    if not isinstance(value, str):
        return Condition(field, values=_scalars([value]))
    if value.startswith("exists/") and len(raw_bytes := bytes(raw)) == 10:
        return Condition(field, exists=raw_bytes[8:9] != b"0")
    # A pattern that holds \u escapes of JSON is compared as text: clients know it so, since the reference compiles the
    # text before it undoes the escapes.
    if value.startswith("re/") and b"\\u" not in bytes(raw) and (pattern := _pattern(value[3:])) is not None:
        return Condition(field, patterns=(pattern,))
    return Condition(field, values=frozenset((value,)))


def _any_of(field: str, wanted: list[Any]) -> Condition:
    patterns, plain = [], []
    for value in wanted:
        pattern = _pattern(value[3:]) if isinstance(value, str) and value.startswith("re/") and len(value) > 3 else None
        if pattern is None:
            plain.append(value)
        else:
            patterns.append(pattern)
    return Condition(field, values=_scalars(plain), patterns=tuple(patterns))


def _scalars(values: list[Any]) -> frozenset[Scalar]:
    """What can be equal to something stored: no bool, no null, no object."""
    return frozenset(v for v in values if type(v) in (str, int, float))


def _pattern(source: str) -> Pattern | None:
    try:
        return Pattern(source)
    except re2.error:
        return None


def conditions(query: Query) -> Iterator[Condition]:
    """All conditions of a query."""
    for alternative in query.alternatives:
        yield from alternative
