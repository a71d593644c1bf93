"""The bus: followers that tail the mutation logs of instances.

A follower is a listening instance or a log sink.  It reads records by cursor, and being woken only means "look
again", so live delivery and replay after a crash are one path, and nothing is queued in memory.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import StoreClosed
from .keys import LOG_CLASS, Kind, u32, u64
from .mutation import Mutation, handle
from .mutlog import LogRecord, LogSink, Source, log_head, read_log
from .storage.base import Batch
from .view import View

if TYPE_CHECKING:
    from .instance import Instance

log = logging.getLogger(__name__)

RETRIES = 5
RETRY_SECONDS = 0.5


class Follower(ABC):
    """Tails the log of one instance, version by version."""

    def __init__(self, source: Instance) -> None:
        self.source = source
        self._pending: set[int] = set()
        self._cursors: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._current: int | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, and look at every version that has a log."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        for version in self.source.written(LOG_CLASS):
            self.wake(version)

    def wake(self, version: int) -> None:
        """There may be new records in the log of this version."""
        self._pending.add(version)
        self._wake.set()

    def busy(self, version: int | None = None) -> bool:
        """Whether records (of this version) are still to be handled."""
        if self._task is None or self._task.done():
            return False
        if version is None:
            return bool(self._pending) or self._current is not None
        return version in self._pending or self._current == version

    async def step(self) -> None:
        """Return when the version that is being handled, or the next one, is done."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    async def stop(self) -> None:
        """End; what is under way is handled to its end or not at all."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._stepped()

    def _stepped(self) -> None:
        self._current = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                version = self._current = self._pending.pop()
                try:
                    await self._catch_up(version)
                except StoreClosed:
                    return
                except Exception:
                    log.exception("following the log of %s at version %d stopped", self.source.name, version)
                finally:
                    self._stepped()

    async def _catch_up(self, version: int) -> None:
        if version not in self._cursors:
            self._cursors[version] = await self.load_cursor(version)
        async for number, record in read_log(self.source.store, self.source.id, version, self._cursors[version]):
            for attempt in range(RETRIES):
                try:
                    await self.take(version, number, record)
                    break
                except StoreClosed:
                    raise
                except Exception:
                    log.exception("%s: record %d of %s, try %d", self, number, self.source.name, attempt + 1)
                    await asyncio.sleep(RETRY_SECONDS * attempt)
            else:
                # One bad record must not keep all later ones from being handled.
                log.critical("%s: record %d of %s is left out; reload the listener", self, number, self.source.name)
                await self.leave_out(version, number)
            self._cursors[version] = number
        await self.caught_up(version, self._cursors[version])

    @abstractmethod
    async def load_cursor(self, version: int) -> int:
        """The number of the last record that was handled."""

    @abstractmethod
    async def take(self, version: int, number: int, record: LogRecord) -> None:
        """Handle one record."""

    async def leave_out(self, version: int, number: int) -> None:
        """A record that cannot be handled is passed over."""
        return

    async def caught_up(self, version: int, number: int) -> None:
        """There are no further records for now."""
        return


class Listener(Follower):
    """Hands the events of a source's records to the instance that is synced to it.

    All events of a record are handled in one commit of the listener, which also moves its cursor.
    """

    def __init__(self, source: Instance, instance: Instance) -> None:
        super().__init__(source)
        self.instance = instance
        self.kinds = tuple(e for e in source.emits if any(issubclass(e, h) for h in instance.handles))

    def _cursor_key(self, version: int) -> bytes:
        return Kind.CURSOR.key(self.instance.id, u32(self.source.id), u32(version))

    async def load_cursor(self, version: int) -> int:
        await self.instance.ready()
        return int.from_bytes(await self.instance.store.get(self._cursor_key(version)) or b"", "big")

    async def take(self, version: int, number: int, record: LogRecord) -> None:
        instance = self.instance
        chain = (*record.chain, self.source.id)
        if instance.id in chain:
            return
        events = record.events_of(self.kinds)
        if not events:
            return
        dag = instance.repo.dag
        view = View(instance, dag.nodes.get(version) or dag.root)
        key = self._cursor_key(version)

        async def change(m: Mutation) -> None:
            m.time = record.time
            before = await instance.store.get(key)
            m.expect_stored(key, before)
            if int.from_bytes(before or b"", "big") >= number:
                return
            m.put_stored(key, u64(number))
            for event in events:
                handler = next(f for kind, f in instance.handles.items() if isinstance(event, kind))
                await handler(instance, m, event)

        locks = [(instance.id, k) for k in instance.event_locks(events)]
        async with instance.server.locks.hold(exclusive=locks):
            await handle(view, record.op, change, chain)

    async def leave_out(self, version: int, number: int) -> None:
        batch = Batch()
        batch.put(self._cursor_key(version), u64(number))
        await self.instance.store.commit(batch)

    def __str__(self) -> str:
        return f"{self.instance.typename} {self.instance.name}"


class SinkFollower(Follower):
    """Hands records to a log sink; its cursor is saved when it has caught up, so some may come twice."""

    def __init__(self, source: Instance, sink: LogSink) -> None:
        super().__init__(source)
        self.sink = sink

    def _cursor_key(self, version: int) -> bytes:
        return Kind.SINK.key(self.source.id, self.sink.name.encode() + b"\x00", u32(version))

    async def load_cursor(self, version: int) -> int:
        return int.from_bytes(await self.source.store.get(self._cursor_key(version)) or b"", "big")

    async def take(self, version: int, number: int, record: LogRecord) -> None:
        repo = self.source.repo
        node = repo.dag.nodes.get(version) or repo.dag.root
        source = Source(repo.root, self.source.data_uuid, self.source.name, self.source.typename, node.uuid)
        await self.sink.write(source, number, record)

    async def caught_up(self, version: int, number: int) -> None:
        batch = Batch()
        batch.put(self._cursor_key(version), u64(number))
        await self.source.store.commit(batch, durable=False)

    def __str__(self) -> str:
        return f"log sink {self.sink.name}"


class Bus:
    """All followers, by the instance that they follow."""

    def __init__(self) -> None:
        self._followers: dict[int, list[Follower]] = {}

    def wake(self, instance: int, version: int) -> None:
        """A record was committed."""
        for follower in self._followers.get(instance, ()):
            follower.wake(version)

    async def follow(self, follower: Follower) -> None:
        """Begin to deliver; what was committed since the cursor is replayed."""
        await follower.source.ready()
        self._followers.setdefault(follower.source.id, []).append(follower)
        follower.start()

    async def unfollow(self, listener: int, source: int | None = None) -> None:
        """Stop deliveries to an instance, from `source` or from all."""
        for source_id, followers in list(self._followers.items()):
            if source not in (None, source_id):
                continue
            for f in [f for f in followers if isinstance(f, Listener) and f.instance.id == listener]:
                followers.remove(f)
                await f.stop()

    async def forget(self, source: int) -> None:
        """Stop everything that follows an instance."""
        for follower in self._followers.pop(source, []):
            await follower.stop()

    async def skip_past(self, listener: Instance, source: Instance) -> None:
        """Let the listener begin behind all that the source's logs hold now."""
        await source.ready()
        batch = Batch()
        for version in source.written(LOG_CLASS):
            head = await log_head(source.store, source.id, version)
            batch.put(Kind.CURSOR.key(listener.id, u32(source.id), u32(version)), u64(head))
        if batch:
            await listener.store.commit(batch)

    async def idle(self, listener: int | None = None, *, version: int | None = None) -> None:
        """Return when all listeners (or this one) have handled what was committed (in this version), in chains too."""
        while True:
            followers = [f for fs in self._followers.values() for f in fs if isinstance(f, Listener)]
            if listener is not None:
                followers = _leading_to(listener, followers)
            busy = next((f for f in followers if f.busy(version)), None)
            if busy is None:
                return
            await busy.step()

    async def close(self) -> None:
        """Stop all followers."""
        followers = [f for fs in self._followers.values() for f in fs]
        self._followers.clear()
        await asyncio.gather(*(f.stop() for f in followers))


def _leading_to(listener: int, followers: Sequence[Listener]) -> list[Listener]:
    """Those by which events come to `listener`, over other instances too."""
    found: dict[int, list[Listener]] = {}
    todo = [listener]
    while todo:
        at = todo.pop()
        if at not in found:
            found[at] = [f for f in followers if f.instance.id == at]
            todo += [f.source.id for f in found[at]]
    return [f for fs in found.values() for f in fs]
