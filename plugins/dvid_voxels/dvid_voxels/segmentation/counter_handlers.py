"""The endpoints of the label counters."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from dvid_core import EMPTY, About, BadRequest, Mutation, Param, Reply, Uint64, View, get, post

from .asking import check_indexed
from .counters import LAST, LOCK

MAX_LABEL = 1 << 48
"""The largest label to which an admin may raise a max label."""


def _ceiling(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or int(text) > LAST:
        raise ValueError("expected a whole number from 0 to 2^64-1")
    return int(text)


class NextQuery(msgspec.Struct, frozen=True):
    """Options of set-nextlabel."""

    ceiling: Annotated[
        int | None,
        Param(_ceiling),
        About("labels beyond are not handed out; 0: no ceiling; without the option it stays as it is"),
    ] = None


async def get_maxlabel(view: View) -> Reply:
    """The largest label of this version and its ancestors: {"maxlabel": 23}; 400 before there is one."""
    largest = check_indexed(view).max_label(view.version)
    if not largest:
        raise BadRequest(f"no label was ever written to {view.instance.name} at this version")
    return Reply.json({"maxlabel": largest})


async def post_maxlabel(view: View, label: Uint64) -> Reply:
    """Raise the max label of this version to <label>, 1 to 2^48; never lowers it. For the admin only.

        POST /api/node/3f8c/segmentation/maxlabel/5000?admintoken=...
    """  # fmt: skip
    instance = check_indexed(view)
    _check_admin(view)
    if not 1 <= label <= MAX_LABEL:
        raise BadRequest(f"label: expected 1 to {MAX_LABEL}, got {label}")

    async def change(m: Mutation) -> None:
        if instance.raises(view.version, label):
            m.record(payload={"max": label})

    await view.edit("maxlabel", change, locks=(LOCK,))
    return EMPTY


async def get_nextlabel(view: View) -> Reply:
    """The label that is handed out next: {"nextlabel": 24}."""
    state = check_indexed(view).state
    return Reply.json({"nextlabel": (state.next_label or state.largest) + 1})


async def post_nextlabel(view: View, count: Uint64) -> Reply:
    """Reserve <count> labels, which nobody else gets: {"start": 24, "end": 33}, both inside.

    All versions share the counter.

        POST /api/node/3f8c/segmentation/nextlabel/10
    """
    instance = check_indexed(view)
    if not count:
        raise BadRequest("count: at least 1 label must be asked for")

    async def change(m: Mutation) -> int:
        first, payload = instance.state.reserve(count)
        m.record(payload=payload)
        return first

    first = (await view.edit("nextlabel", change, locks=(LOCK,))).result
    return Reply.json({"start": first, "end": first + count - 1})


async def post_set_nextlabel(view: View, label: Uint64, query: NextQuery) -> Reply:
    """Hand out labels from <label> + 1 on, for all versions, even below the max label. For the admin only.

        POST /api/node/3f8c/segmentation/set-nextlabel/1000?ceiling=2000&admintoken=...
    """  # fmt: skip
    instance = check_indexed(view)
    _check_admin(view)
    if not 1 <= label < LAST:
        raise BadRequest(f"label: expected 1 to 2^64-2, got {label}")

    async def change(m: Mutation) -> None:
        ceiling = instance.state.ceiling if query.ceiling is None else query.ceiling
        if ceiling and label > ceiling:
            raise BadRequest(f"label: {label} is beyond the ceiling, {ceiling}")
        m.record(payload={"next": [label, ceiling, instance.state.turn + 1]})

    await view.edit("set-nextlabel", change, locks=(LOCK,))
    return EMPTY


def _check_admin(view: View) -> None:
    if not view.caller.admin:
        raise BadRequest("only the admin can set label counters; the admintoken is missing or wrong")


ROUTES = (
    get("maxlabel", get_maxlabel),
    post("maxlabel/{label}", post_maxlabel),
    get("nextlabel", get_nextlabel),
    post("nextlabel/{count}", post_nextlabel),
    post("set-nextlabel/{label}", post_set_nextlabel, query=NextQuery),
)
