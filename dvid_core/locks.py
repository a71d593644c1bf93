"""Locks by key, shared or exclusive, taken in one order so that no two holders wait for each other.

Waiters are served in the order they came; a waiting writer holds back later readers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any


class _Lock:
    __slots__ = ("queue", "readers", "writing")

    def __init__(self) -> None:
        self.readers = 0
        self.writing = False
        self.queue: deque[tuple[bool, asyncio.Future[None]]] = deque()

    def try_take(self, exclusive: bool) -> bool:
        if self.queue or self.writing or (exclusive and self.readers):
            return False
        self._grant(exclusive)
        return True

    def _grant(self, exclusive: bool) -> None:
        if exclusive:
            self.writing = True
        else:
            self.readers += 1

    def release(self, exclusive: bool) -> None:
        if exclusive:
            self.writing = False
        else:
            self.readers -= 1
        self.serve()

    def serve(self) -> None:
        while self.queue:
            exclusive, waiter = self.queue[0]
            if waiter.done():
                self.queue.popleft()
                continue
            if self.writing or (exclusive and self.readers):
                return
            self.queue.popleft()
            self._grant(exclusive)
            waiter.set_result(None)

    @property
    def idle(self) -> bool:
        return not (self.readers or self.writing or self.queue)


class Locks:
    """A table of locks; keys are any hashable values that sort with one another."""

    def __init__(self) -> None:
        self._table: dict[Hashable, _Lock] = {}

    def hold(self, *, exclusive: Iterable[Any] = (), shared: Iterable[Any] = ()) -> Held:
        """`async with locks.hold(exclusive=keys, shared=keys):` holds them all; a key in both is exclusive."""
        wanted: dict[Any, bool] = dict.fromkeys(shared, False)
        wanted.update(dict.fromkeys(exclusive, True))
        order = sorted(wanted.items()) if len(wanted) > 1 else list(wanted.items())
        return Held(self, order)

    async def take(self, key: Hashable, exclusive: bool) -> None:
        lock = self._table.get(key)
        if lock is None:
            lock = self._table[key] = _Lock()
        if lock.try_take(exclusive):
            return
        waiter = asyncio.get_running_loop().create_future()
        lock.queue.append((exclusive, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give(key, exclusive)
            else:
                waiter.cancel()
                lock.serve()
                self._forget(key, lock)
            raise

    def give(self, key: Hashable, exclusive: bool) -> None:
        lock = self._table[key]
        lock.release(exclusive)
        self._forget(key, lock)

    def _forget(self, key: Hashable, lock: _Lock) -> None:
        if lock.idle and self._table.get(key) is lock:
            del self._table[key]


class Held:
    """Locks that are held inside `async with`."""

    __slots__ = ("_locks", "_taken", "_wanted")

    def __init__(self, locks: Locks, wanted: list[tuple[Any, bool]]) -> None:
        self._locks, self._wanted, self._taken = locks, wanted, 0

    async def __aenter__(self) -> None:
        try:
            for key, exclusive in self._wanted:
                await self._locks.take(key, exclusive)
                self._taken += 1
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *exc: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._taken:
            self._taken -= 1
            self._locks.give(*self._wanted[self._taken])
