"""What is stored of repos and instances, as typed records packed with msgpack."""

from __future__ import annotations

import datetime
import time
from typing import Any, TypeVar

import msgpack
import msgspec

FORMAT_VERSION = 1
"""Version of the stored format; a store of a newer one is refused."""


class RepoRecord(msgspec.Struct, kw_only=True):
    """A repo without its nodes, instances and log lines.  Times are seconds since 1970 (UTC)."""

    id: int
    root: str
    alias: str = ""
    description: str = ""
    passcode: str = ""
    created: float = 0.0
    updated: float = 0.0


class InstanceRecord(msgspec.Struct, kw_only=True):
    """A data instance: what it is called, what it is, and its settings in the wire's names."""

    id: int
    repo: int
    name: str
    typename: str
    type_version: str
    data_uuid: str
    made_in: str
    """UUID of the version named when it was made."""
    versioned: bool = True
    compression: tuple[str, int] = ("lz4", -1)
    checksum: str = "none"
    tags: dict[str, str] | None = None
    syncs: tuple[int, ...] = ()
    """Ids of the instances it listens to."""
    settings: dict[str, Any] = {}
    store: str = "default"
    """Alias of the store that was chosen last; a move of the data is the operator's business."""


class Doomed(msgspec.Struct, kw_only=True):
    """An instance whose data are still to be removed."""

    id: int
    name: str
    data_uuid: str


R = TypeVar("R")


def pack(record: Any) -> bytes:
    """The stored form of a record."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(record))
    return packed


def unpack(data: bytes, kind: type[R]) -> R:
    """A record from its stored form; fields that a newer version added are ignored, missing ones take defaults."""
    return msgspec.convert(msgpack.unpackb(data, strict_map_key=False), kind)


def now() -> float:
    """Seconds since 1970 (UTC)."""
    return time.time()


def rfc3339(seconds: float, timespec: str = "microseconds") -> str:
    """A time as clients read it: RFC 3339 in UTC."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
