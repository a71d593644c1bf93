"""Removing the chunks of large values that nothing names: staged ones of edits that never came, replaced ones.

Replaced chunks stay some minutes, so that a reply that is under way comes to its end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .keys import Kind, chunk_key
from .records import now
from .storage.base import Batch

if TYPE_CHECKING:
    from .instance import Instance
    from .server import Server

log = logging.getLogger(__name__)

EVERY = 60.0
KEEP = 300.0


class Sweeper:
    """Sweeps all instances at the start and every minute."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first sweep runs beside the first requests and takes replaced chunks of any age."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        keep = 0.0
        while True:
            for repo in list(self.server.repos.by_id.values()):
                for instance in list(repo.instances.values()):
                    try:
                        await self.sweep(instance, keep)
                    except asyncio.CancelledError:
                        raise
                    except Exception:
                        log.exception("sweeping instance %s", instance.name)
            keep = KEEP
            await asyncio.sleep(EVERY)

    async def sweep(self, instance: Instance, keep: float = KEEP) -> int:
        """Remove what is due of one instance, replaced values after `keep` seconds; the number of values removed."""
        if instance.opened and not (instance.has_large or instance.live_stages):
            return 0
        due = []
        async for page in instance.store.scan(*Kind.SWEEP.range(instance.id)):
            for key, since in page:
                if int.from_bytes(since, "big") + keep <= now():
                    due.append((key, int.from_bytes(key[-8:], "big")))
        async for page in instance.store.scan(*Kind.STAGED.range(instance.id), want="keys"):
            for key, _ in page:
                value_id = int.from_bytes(key[-8:], "big")
                if value_id not in instance.live_stages:
                    due.append((key, value_id))
        for key, value_id in due:
            batch = Batch()
            batch.delete_range(chunk_key(instance.id, value_id), chunk_key(instance.id, value_id + 1))
            batch.delete(key)
            await instance.store.commit(batch, durable=False)
        return len(due)

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
