"""The endpoints of a tally."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dvid_core import About, NotFound, Reply, View, get, post

from .counts import add, read_counts
from .keys import COUNT
from .settings import TallySettings


class AddQuery(msgspec.Struct, frozen=True):
    """How much to add."""

    n: Annotated[int, About("a whole number; less than 0 takes away")] = 1


async def post_add(view: View, name: str, query: AddQuery) -> Reply:
    """Add to the counter <name>, which begins at 0. Replies {"count": <its new count>}.

    POST /api/node/3f8c/cells/add/glia?n=5
    """
    settings = view.instance.settings
    assert isinstance(settings, TallySettings)
    return Reply.json({"count": await add(view, name, query.n, settings.Limit)})


async def get_count(view: View, name: str) -> Reply:
    """The counter <name>: {"count": <n>}; 404 when nothing was ever added to it.

    GET /api/node/3f8c/cells/count/glia
    """
    found = await view.get(COUNT.key(name))
    if found is None:
        raise NotFound(f"counter {name!r} not found")
    return Reply.json({"count": int(found)})


async def get_counts(view: View) -> Reply:
    """All counters: {<name>: <count>, ...}, sorted by name.

    GET /api/node/3f8c/cells/counts
    """
    return Reply.json(await read_counts(view))


ROUTES = (
    post("add/{name}", post_add, query=AddQuery),
    get("count/{name}", get_count),
    get("counts", get_counts),
)
