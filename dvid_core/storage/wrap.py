"""Stores around a store: `Logged` tells what is called, `Delayed` is slow as if far away, `Faulty` fails on demand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Self

import msgspec

from ..errors import StoreError
from .base import Batch, Page, Receipt, Store, StoreConfig, Want

log = logging.getLogger(__name__)


class Wrapped(Store):
    """Hands every call on to the store inside; the base of the others."""

    engine = "wrapped"

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.limits = store.limits
        self.place = store.place

    @classmethod
    async def open(cls, config: StoreConfig) -> Self:
        raise TypeError(f"{cls.__name__} is made around a store that is open")

    async def get(self, key: bytes) -> bytes | None:
        return await self.inner.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return await self.inner.get_many(keys)

    def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        return self.inner.scan(start, stop, want=want, reverse=reverse, limit=limit)

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        return await self.inner.scan_many(ranges, limit=limit)

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        return await self.inner.commit(batch, durable=durable, written=written)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Logged(Wrapped):
    """Logs each call at level DEBUG when it ends: what was asked, how it ended, how long it took."""

    async def get(self, key: bytes) -> bytes | None:
        with self._logged("get %s", key.hex()):
            return await self.inner.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._logged("get_many of %d keys", len(keys)):
            return await self.inner.get_many(keys)

    async def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        pages = self.inner.scan(start, stop, want=want, reverse=reverse, limit=limit)
        with self._logged("scan %s to %s", start.hex(), stop.hex()):
            async for page in pages:
                yield page

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        with self._logged("scan_many of %d ranges", len(ranges)):
            return await self.inner.scan_many(ranges, limit=limit)

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        with self._logged("commit of %d bytes", batch.nbytes()):
            return await self.inner.commit(batch, durable=durable, written=written)

    async def aclose(self) -> None:
        with self._logged("close"):
            await self.inner.aclose()

    @contextmanager
    def _logged(self, what: str, *args: object) -> Iterator[None]:
        start, outcome = perf_counter(), "done"
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            log.debug(f"%s: {what}: %s in %.3f ms", self.place, *args, outcome, (perf_counter() - start) * 1e3)


class Delayed(Wrapped):
    """Waits before each call, and before each page of a scan, as a round trip over a network would."""

    def __init__(self, store: Store, seconds: float) -> None:
        super().__init__(store)
        self.seconds = seconds

    async def get(self, key: bytes) -> bytes | None:
        await asyncio.sleep(self.seconds)
        return await self.inner.get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        await asyncio.sleep(self.seconds)
        return await self.inner.get_many(keys)

    async def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        await asyncio.sleep(self.seconds)
        pages = self.inner.scan(start, stop, want=want, reverse=reverse, limit=limit)
        async for page in pages:
            yield page
            await asyncio.sleep(self.seconds)

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        await asyncio.sleep(self.seconds)
        return await self.inner.scan_many(ranges, limit=limit)

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        await asyncio.sleep(self.seconds)
        return await self.inner.commit(batch, durable=durable, written=written)


class Fault(msgspec.Struct, frozen=True):
    """One commit to fail."""

    error: StoreError
    happened: bool
    """Whether the commit is made before `error` is raised."""


class Faulty(Wrapped):
    """Fails the commits that `fail` names; for tests of what a caller does then."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.commits = 0
        """How many commits were tried, failed ones included."""
        self._faults: dict[int, Fault] = {}

    def fail(self, error: StoreError, *, happened: bool = False, nth: int = 1) -> None:
        """Raise `error` from the n-th commit from now (1: the next), instead of making it or after it `happened`."""
        self._faults[self.commits + nth] = Fault(error, happened)

    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        self.commits += 1
        fault = self._faults.pop(self.commits, None)
        if fault is not None and not fault.happened:
            raise fault.error
        receipt = await self.inner.commit(batch, durable=durable, written=written)
        if fault is not None:
            raise fault.error
        return receipt
