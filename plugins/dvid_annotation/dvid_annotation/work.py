"""Work in the background: reloads, and events that concern too many elements for one commit.

What is to be done is stored with its version, and done piece by piece, each a commit of its own; a start goes on with
what is left.  Works are done in the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import msgspec

from dvid_core import Event, Mutation, Refused, StoreClosed, Unavailable, View
from dvid_voxels.label_events import LABEL_EVENTS, LabelsAt

from .following import Refiled, Task, Written, tasks_of
from .grid import Grid
from .keys import WORK
from .placing import followed_labels
from .rechecking import Recheck
from .reloading import Reload

if TYPE_CHECKING:
    from .annotation import Annotation

log = logging.getLogger(__name__)

BUDGET = 4 << 20
"""Bytes of lists or elements that are looked at in one commit."""

TRIES = 5
PATIENCE = 10.0
"""Seconds that a request waits for work that keeps it from writing."""

RELOAD = b"reload"
"""The stored form of a reload; an event that was not looked at yet is JSON, tasks that are left are a JSON list."""

Work: TypeAlias = Event | list[Task] | None
"""An event, tasks, or a reload."""

_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Union[LABEL_EVENTS])  # noqa: UP007 - made of a tuple
_tasks = msgspec.json.Decoder(list[Recheck | Written | Refiled])


class Progress(msgspec.Struct):
    """The last reload of a version, as clients read it."""

    State: str = "waiting"
    Phase: str = ""
    Elements: int = 0
    Seconds: float = 0.0
    Error: str = ""


class Works:
    """The works of one instance."""

    def __init__(self, instance: Annotation) -> None:
        self._instance = instance
        self._pending: dict[tuple[int, int], bool] = {}  # version and number -> whether it is a reload
        self._numbers = 0
        self._staged: tuple[Mutation | None, list[list[int]]] = (None, [])
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.reloads: dict[int, Progress] = {}

    async def open(self) -> None:
        """Take up what was left."""
        instance = self._instance
        for version in sorted(instance.written(WORK.number)):
            view = View(instance, instance.repo.dag.nodes.get(version) or instance.repo.dag.root)
            async for page in view.scan(*WORK.all(version)):
                for tkey, found in page:
                    data = await found.read()  # type: ignore[union-attr]
                    self._add(version, WORK.unpack(tkey)[1], data == RELOAD)
        self.wake()

    def _add(self, version: int, number: int, is_reload: bool) -> None:
        self._pending[version, number] = is_reload
        self._numbers = max(self._numbers, number)
        if is_reload:
            self.reloads[version] = Progress()

    def apply(self, payload: Any) -> None:
        """Take note of works that were stored."""
        for version, number, is_reload in payload:
            self._add(version, number, bool(is_reload))
        self.wake()

    def wake(self) -> None:
        """Begin, if there is anything to do."""
        if self._pending and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; what is left is done after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- what others ask

    def pending(self, view: View) -> list[bool]:
        """Whether each work is a reload, of those that stand before an edit at this version."""
        if not self._pending:
            return []
        if not self._instance.versioned:
            return list(self._pending.values())
        seen = set(self._instance.repo.dag.visible(view.version, {v for v, _ in self._pending}))
        return [is_reload for (v, _), is_reload in self._pending.items() if v in seen]

    def hinders(self, view: View, *, in_reloads: bool = False) -> bool:
        """Whether some work stands before an edit, which may be one that reloads do not mind."""
        found = self.pending(view)
        return bool(found) and not (in_reloads and all(found))

    async def clear(self, view: View, *, in_reloads: bool = False) -> None:
        """Return when no work stands before an edit; refuses when that takes long."""
        end = time.monotonic() + PATIENCE
        while self.hinders(view, in_reloads=in_reloads):
            left = end - time.monotonic()
            if left <= 0 and any(self.pending(view)):
                raise Refused("a reload of this instance is under way; see GET reload-status, and try again later")
            if left <= 0:
                raise Unavailable("a large change of labels is being followed; try again")
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def idle(self) -> None:
        """Return when nothing is left to do."""
        while self._pending and self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    # -- what is to be done

    def stage(self, m: Mutation, work: Work) -> None:
        """Store what is to be done later."""
        version = m.view.version
        self._numbers = number = max(self._numbers + 1, time.time_ns())
        m.put(WORK.key(version, number), RELOAD if work is None else msgspec.json.encode(work))
        if self._staged[0] is not m:
            self._staged = m, []
        self._staged[1].append([version, number, work is None])
        m.record(payload=self._staged[1])

    def has_staged(self, m: Mutation) -> bool:
        """Whether this mutation stores work already."""
        return self._staged[0] is m

    async def _run(self) -> None:
        while self._pending:
            version, number = at = min(self._pending, key=lambda key: key[1])
            node = self._instance.repo.dag.nodes.get(version) or self._instance.repo.dag.root
            view = View(self._instance, node)
            for attempt in range(TRIES):
                try:
                    await self._do(view, WORK.key(version, number), self._pending[at])
                    break
                except StoreClosed:
                    return
                except Exception as err:
                    log.exception("work of %s at %s, try %d", self._instance.name, node.uuid, attempt + 1)
                    if version in self.reloads and self._pending[at]:
                        self.reloads[version].Error = str(err)
                    await asyncio.sleep(0.5 * attempt)
            else:
                log.critical("work of %s at %s is left out; reload it", self._instance.name, node.uuid)
                if version in self.reloads and self._pending[at]:
                    self.reloads[version].State = "failed"
                await self._forget(view, WORK.key(version, number))
            del self._pending[at]
            self._changed.set()

    async def _forget(self, view: View, tkey: bytes) -> None:
        async def change(m: Mutation) -> None:
            m.delete(tkey)

        try:
            await view.edit("give up", change)
        except Exception:
            log.exception("work of %s stays", self._instance.name)

    async def _do(self, view: View, tkey: bytes, is_reload: bool) -> None:
        if is_reload:
            progress = self.reloads[view.version]
            await Reload(self._instance, view, tkey, progress).run()
            return

        async def change(m: Mutation) -> bool:
            data, peer = await m.get(tkey), await followed_labels(m.view)
            if data is None or peer is None:
                m.delete(tkey)
                return False
            tasks = _tasks.decode(data) if data[:1] == b"[" else await tasks_of(m, peer, _event.decode(data))
            left = await steps(m, peer, self._instance.grid, tasks, BUDGET)
            if left:
                m.put(tkey, msgspec.json.encode(left))
            else:
                m.delete(tkey)
            return bool(left)

        while (await view.edit("follow", change, locks=self._instance.everything)).result:
            pass


async def steps(m: Mutation, peer: LabelsAt, grid: Grid, tasks: list[Task], budget: int) -> list[Task]:
    """Do tasks until the budget is used up; gives those that are left."""
    while tasks and budget > 0:
        left, seen = await tasks[0].step(m, peer, grid, budget)
        budget -= max(seen, 1)
        tasks = [*([] if left is None else [left]), *tasks[1:]]
    return tasks
