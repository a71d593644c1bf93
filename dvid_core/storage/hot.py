"""`HotValues`: large values that are read again and again, in memory.

What is read for the first time joins a short queue; a value that is asked for again while it is there, or not long
after it left, moves to the long one (the algorithm "2Q" of Johnson and Shasha, 1994).  So one pass over gigabytes takes
the memory of the short queue only and leaves the others where they are.

The owner drops a value in the moment that it writes its key, and keeps one that was read only if no write to its key
came while it was being read: what is found here is what the store holds.  For one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .base import Batch

SHORT = 4
"""The short queue is one part of so many."""

LARGEST = 8
"""A value has at most one part of so many of the short queue."""


class Read:
    """A read from the store that is under way."""

    __slots__ = ("spoilt", "written")

    def __init__(self) -> None:
        self.written: set[bytes] = set()
        """Keys that were written meanwhile."""
        self.spoilt = False
        """Whether ranges of keys were deleted meanwhile."""


class HotValues:
    """At most `nbytes` of values of `least` bytes or more, and the keys of some that were here."""

    __slots__ = ("_gone", "_gone_size", "_largest", "_least", "_long", "_long_room", "_reads", "_short", "_short_room")

    def __init__(self, nbytes: int, least: int) -> None:
        self._short: OrderedDict[bytes, bytes] = OrderedDict()
        self._long: OrderedDict[bytes, bytes] = OrderedDict()
        self._gone: OrderedDict[bytes, int] = OrderedDict()
        """The size of values that left the short queue."""
        self._short_room = nbytes // SHORT
        self._long_room = nbytes - self._short_room
        self._gone_size = nbytes
        self._least, self._largest = least, self._short_room // LARGEST
        self._reads: list[Read] = []

    def has_none_of(self, keys: Iterable[bytes]) -> bool:
        """Whether none of these is here; a fifth of the time of asking for each."""
        return self._long.keys().isdisjoint(keys) and self._short.keys().isdisjoint(keys)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, None when it is not here."""
        value = self._long.get(key)
        if value is not None:
            self._long.move_to_end(key)
        elif key in self._short:
            value = self._short.pop(key)
            self._short_room += len(value)
            self._promote(key, value)
        return value

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """For the time of a read from the store."""
        read = Read()
        self._reads.append(read)
        try:
            yield read
        finally:
            self._reads.remove(read)

    def keep(self, keys: Iterable[bytes], values: Iterable[bytes | None], read: Read) -> None:
        """Take what `read` gave, as far as it still holds."""
        if read.spoilt:
            return
        for key, value in zip(keys, values):
            if value is None or not self._least <= len(value) <= self._largest or key in read.written:
                continue
            if key in self._long or key in self._short:  # another read was quicker
                continue
            if key in self._gone:
                self._gone_size += self._gone.pop(key)
                self._promote(key, value)
                continue
            self._short[key] = value
            self._short_room -= len(value)
            while self._short_room < 0:
                old, left = self._short.popitem(last=False)
                self._short_room += len(left)
                self._remember(old, len(left))

    def _promote(self, key: bytes, value: bytes) -> None:
        self._long[key] = value
        self._long_room -= len(value)
        while self._long_room < 0:
            self._long_room += len(self._long.popitem(last=False)[1])

    def _remember(self, key: bytes, size: int) -> None:
        self._gone[key] = size
        self._gone_size -= size
        while self._gone_size < 0:
            self._gone_size += self._gone.popitem(last=False)[1]

    def drop(self, batch: Batch) -> None:
        """Forget what a commit replaced."""
        for read in self._reads:
            read.written.update(batch.puts)
            read.spoilt = read.spoilt or bool(batch.ranges)
        for start, stop in batch.ranges:
            self._drop([key for key in (*self._long, *self._short) if start <= key < stop])
        if self._long or self._short:
            self._drop(batch.puts)

    def _drop(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            value = self._long.pop(key, None)
            if value is not None:
                self._long_room += len(value)
                continue
            value = self._short.pop(key, None)
            if value is not None:
                self._short_room += len(value)
