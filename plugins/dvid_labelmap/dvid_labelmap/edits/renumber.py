"""Renumber: bodies get other names."""

from __future__ import annotations

from dvid_core import BadRequest, View
from dvid_voxels.label_events import BodyRenumbered

from .draft import Draft, perform
from .journal import move_of

MOST = 5_000
"""Pairs that one request takes: each has two keys to lock and four to write."""


async def renumber(view: View, pairs: list[tuple[int, int]]) -> None:
    """Rename bodies, (new, old), one after another: all or none."""
    if len(pairs) > MOST:
        raise BadRequest(f"{len(pairs)} bodies are to be renumbered; one request can renumber {MOST}")
    for new, old in pairs:
        if not new or not old:
            raise BadRequest("label 0 is the background and cannot be renumbered")

    async def change(draft: Draft) -> None:
        await draft.load(label for pair in pairs for label in pair)
        for new, old in pairs:
            await draft.breathe()
            await rename(draft, new, old)
            draft.events.append(BodyRenumbered(draft.m.id, old, new))
            draft.show("renumber-complete", OrigLabel=old, NewLabel=new)

    await perform(view, "renumber", change, [label for pair in pairs for label in pair])


async def rename(draft: Draft, new: int, old: int) -> None:
    """Let the body `old` be called `new`."""
    body = await draft.body(old, "renumber")
    if await draft.find(new) is not None:
        raise BadRequest(f"renumber: there is a body {new} already, which {old} cannot be renumbered to")
    supervoxels = await draft.supervoxels(body)
    draft.put(old, None)
    draft.put(new, body)
    draft.map(supervoxels, new)
    draft.retire(new)
    draft.largest = max(draft.largest, new)
    draft.moves.append(move_of(old, new, supervoxels, emptied=True, made=True))
