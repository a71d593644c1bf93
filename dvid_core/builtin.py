"""What this distribution itself plugs in, by the hooks that any other one uses."""

from __future__ import annotations

from collections.abc import Sequence

from .hookspecs import hookimpl
from .jsonlog import FileLog, JsonStore
from .mutlog import LogSink
from .storage.base import Store
from .storage.memory import MemoryStore
from .storage.rocks import RocksStore


@hookimpl
def dvid_stores() -> Sequence[type[Store]]:
    return [MemoryStore, RocksStore]


@hookimpl
def dvid_log_sinks() -> Sequence[type[LogSink]]:
    return [JsonStore, FileLog]
