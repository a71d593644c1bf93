"""The mutation log: one record per edit, numbered without gaps per instance and version.

The log is the truth about edits: `GET mutations` reads it, listeners and sinks follow it by cursor, and in-memory
state is rebuilt from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self

import msgpack
import msgspec

from .events import Event, unpack_events
from .keys import log_prefix, u64
from .records import rfc3339
from .storage.base import Store


class LogRecord(msgspec.Struct, array_like=True, frozen=True):
    """What one edit did."""

    op: str
    time: float
    user: str = ""
    app: str = ""
    mutation_id: int = 0
    """The id that clients see; 0 when the datatype draws none."""
    entries: tuple[dict[str, Any], ...] = ()
    """What `GET mutations` shows, in the wire's names; version and time are added there."""
    payload: Any = None
    """What `Instance.apply` needs to bring in-memory state up to date."""
    events: tuple[dict[str, Any], ...] = ()
    chain: tuple[int, ...] = ()
    """Ids of the instances whose events led to this edit."""

    def events_of(self, kinds: tuple[type[Event], ...]) -> list[Event]:
        """The events of these kinds."""
        return unpack_events(self.events, kinds)

    def shown(self, uuid: str) -> list[dict[str, Any]]:
        """The entries as clients read them."""
        return [{**e, "UUID": uuid, "Timestamp": rfc3339(self.time)} for e in self.entries]


def pack_record(record: LogRecord) -> bytes:
    """The stored form."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(record, builtin_types=(bytes,)))
    return packed


def unpack_record(data: bytes) -> LogRecord:
    """A record from its stored form."""
    return msgspec.convert(msgpack.unpackb(data, strict_map_key=False), LogRecord)


async def read_log(store: Store, instance: int, version: int, after: int = 0) -> AsyncIterator[tuple[int, LogRecord]]:
    """The records numbered after + 1 and up, in order, as of the first step."""
    prefix = log_prefix(instance, version)
    async for page in store.scan(prefix + u64(after + 1), prefix + b"\xff" * 9):
        for key, data in page:
            yield int.from_bytes(key[-8:], "big"), unpack_record(data)


async def log_head(store: Store, instance: int, version: int) -> int:
    """The number of the last record; 0 when there is none."""
    return int.from_bytes(await store.get(log_prefix(instance, version)) or b"", "big")


class Source(msgspec.Struct, frozen=True):
    """Whose log a record comes from."""

    repo_root: str
    data_uuid: str
    name: str
    typename: str
    version_uuid: str


class LogSink(ABC):
    """Where mutation records go besides the store: a file, a message queue.

    Records of one instance and version arrive in order; after a crash some may arrive again.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    async def open(cls, options: dict[str, Any]) -> Self:
        """Open the sink with the options of its section of the configuration."""

    @abstractmethod
    async def write(self, source: Source, number: int, record: LogRecord) -> None:
        """Take one record; an exception is logged and the record is tried again later."""

    @abstractmethod
    async def aclose(self) -> None:
        """Write what is pending."""
