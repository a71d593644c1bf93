"""What was done to an annotation, across versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from dvid_core import Disputed, Reply, View

from .annotation import NULL
from .changes import Change, unpack
from .forms import as_list
from .keys import EDIT, Body
from .pace import Pace

_encode = msgspec.json.Encoder().encode


async def get_history(view: View, body: Body, field: str = "") -> Reply:
    """What was done to the annotation of a body, or to one of its fields, in this version and all it descends from;
    oldest first.

    A JSON list of {"MutationID", "UUID", "Timestamp", "User", "App"}: the version, the time and the `u=` of the
    request, and what it did: "Set" with fields and their new values, X_user and X_time among them, "Removed" with the
    names of fields, or "Deleted": true. With <field> only what concerned it, with its "Value", or "Removed": true.
    Writes that changed nothing are not in it.

        GET /api/node/3f8c/neurons/history/189323
        GET /api/node/3f8c/neurons/history/189323/type
    """
    return await as_list(_entries(view, body, field))


async def _entries(view: View, body: int, field: str) -> AsyncIterator[list[bytes]]:
    pace = Pace()
    async for page in view.scan(*EDIT.all(body)):
        out = []
        for _, found in page:
            if isinstance(found, Disputed):
                continue  # a key is written once, so nobody can disagree about it
            change = unpack(await found.read())
            told = _field_entry(change, field) if field else _entry(change)
            if told is not None:
                out.append(_encode(_head(change) | told))
            await pace.step()
        yield out


def _head(change: Change) -> dict[str, Any]:
    time = datetime.fromtimestamp(change.time, UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return {"MutationID": change.id, "UUID": change.uuid, "Timestamp": time, "User": change.user, "App": change.app}


def _marks(change: Change, field: str) -> tuple[dict[str, msgspec.Raw], list[str]]:
    """What became of a field's mark: what is set, and what is not."""
    user, time = change.marks[field]
    found = {field + "_user": user, field + "_time": time}
    return {n: v for n, v in found.items() if v != NULL}, [n for n, v in found.items() if v == NULL]


def _entry(change: Change) -> dict[str, Any]:
    if change.deleted:
        return {"Deleted": True}
    values: dict[str, msgspec.Raw] = dict(change.set)
    for field in change.marks:
        values |= _marks(change, field)[0]
    out: dict[str, Any] = {"Set": dict(sorted(values.items()))}
    if change.gone:
        out["Removed"] = change.gone
    return out


def _field_entry(change: Change, field: str) -> dict[str, Any] | None:
    if change.deleted:
        return {"Removed": True}
    if field not in change.set and field not in change.gone and field not in change.marks:
        return None
    out: dict[str, Any] = {}
    if field in change.set:
        out["Value"] = change.set[field]
    elif field in change.gone:
        out["Removed"] = True
    return out | (_marks(change, field)[0] if field in change.marks else {})
