"""Edits of annotations: each is one commit with the annotations, their histories and what memory needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dvid_core import MergeConflict, Mutation, View

from .annotation import Annotation, row_of, stored
from .changes import UNTOLD, Change, between, pack
from .keys import ANNOTATION, EDIT
from .pace import Pace
from .reading import heads
from .values import time_text
from .writing import Manner, Sent, merge

STRIPES = 256
"""Locks of an instance; a body's is chosen by its id, so that an edit of many bodies holds few."""

TOLD_BYTES = 4 << 20
"""Changes that a log record holds; after a larger edit memory is read from the store again."""

MANY = 64
"""Annotations that are read and merged at a time (30 us each)."""


def locks(bodies: Iterable[int]) -> set[int]:
    """The locks of these bodies."""
    return {body % STRIPES for body in bodies}


async def write(
    view: View, sent: Sequence[Sent], manner: Manner, action: str, also: Callable[[Mutation], None] | None = None
) -> int:
    """Merge all objects, one after the other, in one commit; returns how many annotations changed.

    `also` may stage more into the same commit.
    """

    async def change(m: Mutation) -> int:
        before: dict[int, Annotation | None] = {}
        after: dict[int, Annotation] = {}
        now = time_text(m.time)
        pace = Pace()
        for at in range(0, len(sent), MANY):
            some = sent[at : at + MANY]
            before |= await _present(m, [s.body for s in some if s.body not in before], manner.replace)
            for one in some:
                after[one.body] = merge(after.get(one.body) or before[one.body], one, manner, now)
            await pace.step()
        sizes = {one.body: one.size for one in sent}
        changes = []
        for body, annotation in after.items():
            found = between(body, before[body], annotation)
            if found is not None:
                m.put(ANNOTATION.key(body), stored(annotation.row()))
                changes.append(found)
            await pace.step()
        if also is not None:
            also(m)
        _record(m, action, changes, sizes)
        return len(changes)

    done = await view.edit(action, change, locks=locks(s.body for s in sent), with_id=True)
    await heads(view).settle(view.version)
    return done.result


async def _present(m: Mutation, bodies: list[int], replace: bool) -> dict[int, Annotation | None]:
    """The annotations as the edit sees them.

    Raises `MergeConflict` about one that parents of a merge disagree about, unless it is replaced anyhow.
    """
    bodies = list(dict.fromkeys(bodies))
    try:
        values = await m.get_many([ANNOTATION.key(b) for b in bodies])
    except MergeConflict:
        if not replace:
            raise
        values = []
        for body in bodies:
            try:
                values.append(await m.get(ANNOTATION.key(body)))
            except MergeConflict:
                values.append(None)
    return {b: None if v is None else Annotation.of_row(row_of(v)) for b, v in zip(bodies, values)}


async def remove(view: View, body: int) -> None:
    """Delete an annotation; nothing happens when there is none."""

    async def change(m: Mutation) -> None:
        try:
            there = await m.get(ANNOTATION.key(body)) is not None
        except MergeConflict:
            there = True
        if there:
            m.delete(ANNOTATION.key(body))
            _record(m, "delete", [Change(body, deleted=True)], {})

    await view.edit("delete", change, locks=locks((body,)), with_id=True)


def _record(m: Mutation, action: str, changes: list[Change], sizes: dict[int, int]) -> None:
    """Put the changes into the histories and the log."""
    packed = []
    caller = m.view.caller
    for change in changes:
        change.id, change.uuid, change.time = m.id, m.view.uuid, m.time
        change.user, change.app = caller.user, caller.app
        data = pack(change)
        packed.append(data)
        m.put(EDIT.key(change.body, m.id), data)
        entry: dict[str, Any] = {"Action": action, "Key": str(change.body), "MutationID": m.id, "User": caller.user}
        if change.body in sizes:
            entry["Bytes"] = sizes[change.body]
        m.record(entry)
    if packed:
        m.record(payload=packed if sum(map(len, packed)) <= TOLD_BYTES else UNTOLD)
