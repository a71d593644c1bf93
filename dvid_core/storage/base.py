"""The storage contract: ordered bytes to bytes, atomic commits with expectations.

An engine knows keys and values only; versions, instances and JSON are above it.  What is promised:

- keys sort as unsigned bytes; keys and values are `bytes`; a value may be empty;
- a commit is all or nothing, for other readers and after a crash;
- a read that starts after a commit returned sees it;
- a scan shows the store as of one moment, however long the caller takes over its pages.

`dvid_core.testing.StoreSuite` checks an engine against this page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias

import msgspec

Page: TypeAlias = list[tuple[bytes, bytes]]
"""Neighbouring pairs of a scan in key order; what stands for the value, the scan's `Want` says."""

Want: TypeAlias = Literal["values", "heads", "keys"]
"""What a scan gives beside the key: the value; its first byte (b"" when it is empty); b"".  What is not wanted need not
be read."""

Durability: TypeAlias = Literal["all", "edits", "none"]
"""Which commits are on disk before they are acknowledged: all, those asked `durable=True`, or none."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one key, value and batch of an engine may weigh, in bytes."""

    key_bytes: int = 8192
    value_bytes: int = 16 << 20
    batch_bytes: int = 64 << 20
    uncertain: bool = False
    """A commit may end with `UnknownOutcome` although the engine goes on serving (remote engines)."""


class Receipt(msgspec.Struct, frozen=True):
    """What a commit gave: `numbers[i]` is the number of the i-th appended record, counted from 1."""

    numbers: tuple[int, ...] = ()


class Batch:
    """Changes that are committed together; a plain value, filled by the caller.

    `puts` holds the last put (bytes) or delete (None) of each key.  Range deletions are applied before the puts
    whatever the order of the calls, so a key that is put after its range was deleted stays.
    """

    __slots__ = ("appends", "expects", "puts", "ranges")

    def __init__(self) -> None:
        self.puts: dict[bytes, bytes | None] = {}
        self.ranges: list[tuple[bytes, bytes]] = []
        self.expects: dict[bytes, bytes | None] = {}
        self.appends: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        """Set `key` to `value`."""
        self.puts[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key`; no error when it is absent."""
        self.puts[key] = None

    def delete_range(self, start: bytes, stop: bytes) -> None:
        """Remove all keys with start <= key < stop."""
        self.ranges.append((start, stop))

    def expect(self, key: bytes, value: bytes | None) -> None:
        """Demand that `key` holds exactly `value` (None: is absent) when the batch is committed.

        The first expectation of a key counts: it is the value that was read first.
        """
        self.expects.setdefault(key, value)

    def append(self, prefix: bytes, record: bytes) -> int:
        """Store `record` under prefix + n (u64, big-endian), n given by the store: 1, 2, 3, ... without gaps, in
        the order of commits.  The key `prefix` itself, the head, holds the last n in the same form.

        Returns the place of its number in `Receipt.numbers`.
        """
        self.appends.append((prefix, record))
        return len(self.appends) - 1

    def nbytes(self) -> int:
        """Bytes of all keys and values to be written."""
        return sum(len(k) + len(v or b"") for k, v in self.puts.items()) + sum(
            2 * len(p) + 16 + len(r) for p, r in self.appends
        )

    def __bool__(self) -> bool:
        return bool(self.puts or self.ranges or self.appends or self.expects)


def check_limits(batch: Batch, limits: Limits) -> None:
    """Raise `ValueError` naming what in `batch` is beyond `limits`."""
    numbered = [(prefix + bytes(8), record) for prefix, record in batch.appends]
    for key, value in [*batch.puts.items(), *numbered]:
        if len(key) > limits.key_bytes:
            raise ValueError(f"a key of {len(key)} bytes is beyond the store's limit of {limits.key_bytes}")
        if value is not None and len(value) > limits.value_bytes:
            raise ValueError(f"a value of {len(value)} bytes is beyond the store's limit of {limits.value_bytes}")
    if (n := batch.nbytes()) > limits.batch_bytes:
        raise ValueError(f"a commit of {n} bytes is beyond the store's limit of {limits.batch_bytes}")


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that every engine understands; an engine's own `Config` inherits from it."""

    alias: str = "default"
    durable: Durability = "edits"


class Store(ABC):
    """One open storage engine."""

    engine: ClassVar[str]
    """The name of the engine in a configuration."""
    Config: ClassVar[type[StoreConfig]] = StoreConfig
    """The engine's settings; keys of its `[store.<alias>]` section by their names."""
    limits: Limits = Limits()
    place: str = ""
    """Where the data lie, for people."""

    @classmethod
    @abstractmethod
    async def open(cls, config: StoreConfig) -> Self:
        """Open or create the store.

        Raises `StoreInUse` when another process holds it and `ConfigError` when the place cannot be used
        (a foreign database, no right to write); a refused place is left as it was.
        """

    async def started(self, server: Any) -> None:
        """The `Server` knows its repos; an engine over data of its own can offer them as instances here."""
        return

    @abstractmethod
    async def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""

    @abstractmethod
    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys` in their order, None where absent; one round trip."""

    @abstractmethod
    def scan(
        self, start: bytes, stop: bytes, *, want: Want = "values", reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[Page]:
        """Pages of the pairs with start <= key < stop in key order (`reverse`: backwards), at most `limit` pairs.

        No page is empty; start >= stop gives none.  A scan that the store's close overtakes gives all its pairs or
        ends with `StoreClosed`.
        """

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        """For each range its first `limit` pairs, in the order asked; not necessarily as of one moment."""
        out: list[Page] = []
        for start, stop in ranges:
            found: Page = []
            async for page in self.scan(start, stop, limit=limit):
                found.extend(page)
            out.append(found)
        return out

    @abstractmethod
    async def commit(
        self, batch: Batch, *, durable: bool = True, written: Callable[[Receipt], None] | None = None
    ) -> Receipt:
        """Check the expectations, then write everything of `batch`, or nothing.

        When it returns, the writes are visible and survive the death of the process; with `durable` (as far as the
        store's `Durability` asks) also a power failure.  `written` is called once the writes are visible, before
        any other task of this process can read them and before the wait for the disk; within one process in the
        order of commits; it must not raise.  A cancelled commit ends only when its outcome is settled.

        Raises `Conflict` (nothing written), `UnknownOutcome`, `ValueError` when `limits` are exceeded (nothing
        written), `StoreClosed`.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Write what is pending and release the place; a second call does nothing."""
