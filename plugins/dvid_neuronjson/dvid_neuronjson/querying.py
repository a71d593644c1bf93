"""Queries: what a JSON query asks, and which annotations of a page answer it."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from dvid_core import BadRequest, parse_json

from .columns import Scalar
from .keys import LARGEST
from .pace import Pace
from .pages import Page
from .patterns import NoPattern, Pattern, Run

MOST_CONDITIONS = 1000
MOST_PATTERNS = 100


class Condition:
    """What one field must be: there, not there, or of some values or patterns."""

    __slots__ = ("exists", "field", "patterns", "values")

    def __init__(
        self,
        field: str,
        *,
        exists: bool | None = None,
        values: frozenset[Scalar] = frozenset(),
        patterns: tuple[Pattern, ...] = (),
    ) -> None:
        self.field, self.exists, self.values, self.patterns = field, exists, values, patterns

    @property
    def cost(self) -> int:
        """In which order conditions are tried: what finds few at little cost comes first."""
        return 2 if self.exists is not None else 1 if self.patterns else 0

    async def mask(self, page: Page, kept: Container[str], run: Run) -> int:
        """The places of the page that fulfil it."""
        column = page.column(self.field, kept)
        if self.exists is not None:
            return column.present if self.exists else page.everything & ~column.present
        mask = column.where_any(self.values) if self.values else 0
        for pattern in self.patterns:
            mask |= column.where_any(await pattern.found_in(column.texts(), run))
        return mask


class Query:
    """A list of alternatives, each a list of conditions that must all hold."""

    def __init__(self, alternatives: list[list[Condition]]) -> None:
        self.alternatives = [sorted(a, key=lambda c: c.cost) for a in alternatives]
        self.fields = {c.field for a in alternatives for c in a}

    async def mask(self, page: Page, pace: Pace, kept: Container[str], run: Run) -> int:
        """The places of a page that answer it; `kept` fields keep their columns, `run` runs a function in a thread."""
        out = 0
        for conditions in self.alternatives:
            mask = page.everything
            for condition in conditions:
                mask &= await condition.mask(page, kept, run)
                if pace.due:
                    await pace.step()
                if not mask:
                    break
            out |= mask
            if out == page.everything:
                break
        return out


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
    except NoPattern:
        return None
