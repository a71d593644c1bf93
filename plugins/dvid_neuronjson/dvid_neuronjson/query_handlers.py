"""Handlers of queries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from dvid_core import About, Flag, Reply, Request, View

from .columns import places
from .forms import as_list
from .pace import Pace
from .querying import Query, read_query
from .reading import find_many, heads, undisputed
from .selection import Selection, Shown

LIMIT = 16 << 20


class QueryOptions(Shown, frozen=True):
    """What a query replies."""

    onlyid: Annotated[Flag, About("`true`: a list of body ids instead of annotations")] = False


async def get_query(view: View, request: Request, query: QueryOptions) -> Reply:
    """The annotations that answer a query, ascending by body id, as a JSON list.

    The query is a JSON object in the body of the GET (or of a POST), all of whose conditions must hold, or a list of
    such objects, any of which must. A condition is the name of a field and

    - a number or a text: the field has this value, or is a list that contains it;
    - a list: the field has, or contains, any of these; an empty list finds nothing;
    - "re/PATTERN": a regular expression in RE2 syntax is found anywhere in the text, or in one of a list of texts; ^
      and $ anchor it; also inside a list. What is no regular expression is compared as text;
    - "exists/1", "exists/0": the field is there, is not there.

    Numbers and texts are never equal. X_user and X_time can be asked for like any field. A query that names bodyid only
    is a lookup: the annotations come in the order asked.

        GET /api/node/3f8c/neurons/query?fields=type      with the body {"type": "re/^KC", "group": [1, 2]}
        GET /api/node/3f8c/neurons/query?onlyid=true      with the body [{"group": 5}, {"group": "exists/0"}]
        GET /api/node/3f8c/neurons/query                  with the body {"bodyid": [24, 189323]}
    """
    asked = read_query(await request.read(LIMIT))
    selection = query.selection()
    if isinstance(asked, list):
        return await as_list(_lookup(view, asked, selection))
    return await as_list(_answers(view, asked, None if query.onlyid else selection))


async def post_query(view: View, request: Request, query: QueryOptions) -> Reply:
    """The same as GET query, for clients that send no body with a GET; it works on committed versions too.

        POST /api/node/3f8c/neurons/query                 with the body {"status": "Traced"}
    """  # fmt: skip
    return await get_query(view, request, query)


async def _lookup(view: View, bodies: list[int], selection: Selection) -> AsyncIterator[list[bytes]]:
    pace = Pace()
    async for rows in find_many(view, bodies):
        yield [selection.one(row) for row in rows if row is not None]
        await pace.step()


async def _answers(view: View, query: Query, selection: Selection | None) -> AsyncIterator[list[bytes]]:
    pace = Pace()
    kept = heads(view).use(query.fields)
    async for page in undisputed(view):
        mask = await query.mask(page, pace, kept, view.run)
        found = places(mask) if mask else []
        if selection is None:
            yield [b"%d" % page.ids[i] for i in found]
            continue
        for at in range(0, len(found), selection.portion):
            yield selection.many(page, found[at : at + selection.portion])
            await pace.step()
