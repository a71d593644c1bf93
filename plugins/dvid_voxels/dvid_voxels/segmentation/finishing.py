"""What an edit of voxels still has to do when it is committed, also when its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TypeVar

from dvid_core import Edited, View

from .asking import instance_of
from .pyramid import Pyramid

T = TypeVar("T")


async def finished(view: View, edit: Awaitable[Edited[Pyramid | None]]) -> int:
    """Await an edit, move its blocks to their places, compute the lower scales that it marked; its mutation id."""
    # From the commit on there is something left, so a version is not locked in between.
    with instance_of(view).unfinished.at(view.version):
        done = await committed(view, edit)
        await finish(view, done.mutation_id, done.result)
    return done.mutation_id


async def committed(view: View, edit: Awaitable[Edited[T]]) -> Edited[T]:
    """Await an edit; when that is cancelled, see to it that the rest is done all the same."""
    try:
        return await edit
    except asyncio.CancelledError:
        # It may have been committed all the same, and then its marks are in the store.
        instance = instance_of(view)
        instance.in_background(instance.resume_scales())
        raise


async def finish(view: View, mutation: int, scales: Pyramid | None) -> None:
    """Move the blocks of a committed edit to their places and compute the lower scales that it marked."""
    instance = instance_of(view)
    with ExitStack() as stack:
        stack.enter_context(instance.unfinished.at(view.version))
        task = instance.in_background(_finish(view, mutation, scales))
        # The work lasts as long as the task, not as this call.
        task.add_done_callback(lambda _, held=stack.pop_all(): held.close())  # type: ignore[misc]
    await asyncio.shield(task)


async def _finish(view: View, mutation: int, scales: Pyramid | None) -> None:
    instance = instance_of(view)
    await instance.moves.move(view, mutation)
    if scales is not None:
        await instance.compute_scales(view, mutation, scales)
