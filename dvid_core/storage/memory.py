"""The engine "memory": a sorted dictionary, for tests and throw-away servers.  Nothing survives its close."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from ..errors import Conflict, StoreClosed
from .base import Batch, Limits, Page, Receipt, Store, StoreConfig, Want, check_limits

PAGE = 512


class MemoryStore(Store):
    """Keys in a sorted list, values in a dictionary; scans walk a copy of the keys and values of their range."""

    engine = "memory"
    place = "memory"
    limits = Limits()

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._closed = False

    @classmethod
    async def open(cls, config: StoreConfig) -> Self:
        return cls()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the memory store is closed")

    async def get(self, key: bytes) -> bytes | None:
        self._check_open()
        return self._values.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_open()
        return [self._values.get(k) for k in keys]

    async def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        self._check_open()
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, stop)]
        if reverse:
            keys.reverse()
        if limit is not None:
            del keys[limit:]
        end = {"values": None, "heads": 1, "keys": 0}[want]
        pairs = [(k, self._values[k][:end]) for k in keys]
        for at in range(0, len(pairs), PAGE):
            yield pairs[at : at + PAGE]

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        self._check_open()
        check_limits(batch, self.limits)
        for key, want in batch.expects.items():
            if self._values.get(key) != want:
                raise Conflict(key)
        for start, stop in batch.ranges:
            low, high = bisect_left(self._keys, start), bisect_left(self._keys, stop)
            for key in self._keys[low:high]:
                del self._values[key]
            del self._keys[low:high]
        for key, value in batch.puts.items():
            self._set(key, value)
        numbers = []
        for prefix, record in batch.appends:
            n = int.from_bytes(self._values.get(prefix, b""), "big") + 1
            number = n.to_bytes(8, "big")
            self._set(prefix, number)
            self._set(prefix + number, record)
            numbers.append(n)
        receipt = Receipt(tuple(numbers))
        if written is not None:
            written(receipt)
        return receipt

    def _set(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value

    async def aclose(self) -> None:
        self._closed = True
        self._values.clear()
        self._keys.clear()
