"""Removing the chunks of large values that nothing names: staged ones of edits that never came, replaced ones.

Replaced chunks stay some minutes, so that a reply that is under way comes to its end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .errors import Conflict
from .keys import Kind, chunk_key
from .records import now
from .storage.base import Batch

if TYPE_CHECKING:
    from .instance import Instance
    from .server import Server

log = logging.getLogger(__name__)

EVERY = 60.0
KEEP = 300.0
MICRO = 1_000_000
"""Marks of replaced values hold the time in microseconds since 1970."""


class Sweeper:
    """Sweeps all instances at the start and every minute."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first sweep runs beside the first requests and takes all that was replaced before the start."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        before = self.server.started
        while True:
            for repo in list(self.server.repos.by_id.values()):
                for instance in list(repo.instances.values()):
                    try:
                        await self.sweep(instance, before)
                    except asyncio.CancelledError:
                        raise
                    except Exception:
                        log.exception("sweeping instance %s", instance.name)
            await asyncio.sleep(EVERY)
            before = now() - KEEP

    async def sweep(self, instance: Instance, before: float) -> int:
        """Remove what is due of one instance: values replaced before this time, and staged ones that no edit will take.

        Returns the number of values removed.
        """
        if instance.opened and not (instance.has_large or instance.live_stages):
            return 0
        due: list[tuple[bytes, bytes]] = []
        async for page in instance.store.scan(*Kind.SWEEP.range(instance.id)):
            due += [(key, since) for key, since in page if int.from_bytes(since, "big") < before * MICRO]
        async for page in instance.store.scan(*Kind.STAGED.range(instance.id)):
            due += [(key, mark) for key, mark in page if int.from_bytes(key[-8:], "big") not in instance.live_stages]
        removed = 0
        for key, mark in due:
            value_id = int.from_bytes(key[-8:], "big")
            batch = Batch()
            batch.expect(key, mark)  # gone: an edit has taken the staged value since the scan
            batch.delete_range(chunk_key(instance.id, value_id), chunk_key(instance.id, value_id + 1))
            batch.delete(key)
            try:
                await instance.store.commit(batch, durable=False)
                removed += 1
            except Conflict:
                continue
        return removed

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
