"""Annotations as they are seen from a version, from memory or from the store, in the same form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from dvid_core import MergeConflict, View

from .annotation import Row
from .heads import Heads, row_found
from .keys import ANNOTATION, LARGEST, body_of
from .pages import FULL, Page

if TYPE_CHECKING:
    from .neuronjson import NeuronJSON

MANY = 256
"""Annotations that are looked up in the store at a time."""

NAMED = 20
"""Disputed bodies that an error names."""


def neurons(view: View) -> NeuronJSON:
    """The instance of the view."""
    return cast("NeuronJSON", view.instance)


def heads(view: View) -> Heads:
    """The state in memory of the view's instance."""
    return neurons(view).heads


async def pages(view: View, first: int = 0, last: int = LARGEST) -> AsyncIterator[Page]:
    """Pages of the annotations with first <= id <= last, in order; none of them is empty.

    Disputed annotations are in them: see `undisputed`.
    """
    table = await heads(view).table(view)
    if table is None:
        async for page in _from_store(view, first, last):
            yield page
    else:
        for page in table.cut(first, last):
            yield page


async def _from_store(view: View, first: int, last: int) -> AsyncIterator[Page]:
    rows: list[tuple[int, Row]] = []
    async for found in view.scan(*ANNOTATION.range(first, last)):
        rows += [(body_of(tkey), await row_found(value)) for tkey, value in found]
        while len(rows) >= FULL:
            yield Page.of(rows[:FULL])
            del rows[:FULL]
    if rows:
        yield Page.of(rows)


async def undisputed(view: View, first: int = 0, last: int = LARGEST) -> AsyncIterator[Page]:
    """`pages`; raises `MergeConflict` naming the annotations about which parents of a merge disagree."""
    async for page in pages(view, first, last):
        if page.disputed:
            raise await _conflict(view, first, last)
        yield page


async def _conflict(view: View, first: int, last: int) -> MergeConflict:
    bodies: list[int] = []
    async for page in pages(view, first, last):
        if page.disputed:
            bodies += [b for b, text in zip(page.ids, page.texts) if not text]
    named = ", ".join(map(str, bodies[:NAMED])) + (", ..." if len(bodies) > NAMED else "")
    return MergeConflict(
        f"merge conflict: the parents of {view.uuid} differ about {len(bodies)} annotations: {named}; "
        f"write each with replace=true, or delete it, or use resolve"
    )


async def find(view: View, body: int) -> Row | None:
    """One annotation.  Raises `MergeConflict`."""
    table = heads(view).peek(view.version)
    if table is None:
        found = await view.open(ANNOTATION.key(body))
        return None if found is None else await row_found(found)
    row = table.get(body)
    return None if row is None else _settled(view, body, row)


async def find_many(view: View, bodies: Sequence[int]) -> AsyncIterator[list[Row | None]]:
    """The annotations of these bodies in their order, some hundred at a time.  Raises `MergeConflict`."""
    table = await heads(view).table(view)
    for at in range(0, len(bodies), MANY):
        some = bodies[at : at + MANY]
        if table is not None:
            found = [table.get(body) for body in some]
        else:
            values = await view.find_many([ANNOTATION.key(b) for b in some])
            found = [None if v is None else await row_found(v) for v in values]
        yield [None if row is None else _settled(view, body, row) for body, row in zip(some, found)]


def _settled(view: View, body: int, row: Row) -> Row:
    if not row[0]:
        raise view.conflict(ANNOTATION.key(body), msgspec.json.decode(row[1], type=list[int]))
    return row


async def steady(view: View) -> Callable[[], AsyncIterator[Page]]:
    """`undisputed`, to be called several times with the same outcome."""
    table = await heads(view).table(view)
    if table is None:
        return lambda: undisputed(view)

    async def again() -> AsyncIterator[Page]:
        for page in table.pages:
            if page.disputed:
                raise await _conflict(view, 0, LARGEST)
            yield page

    return again
