"""The least that datatypes can be: `Cells` holds bytes under names, `Echo` counts the changes of what it follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from .. import builtin
from ..config import Backend, Config, ServerSettings, StoreSection
from ..events import Event
from ..hookspecs import hookimpl
from ..instance import Instance
from ..keys import TEXT, KeyClass
from ..mutation import Edited, Mutation
from ..mutlog import LogRecord
from ..requests import Caller
from ..server import Server
from ..view import View

CELL = KeyClass(1, "cell", TEXT)
COUNT = KeyClass(1, "count", TEXT)
USER = Caller(user="tester")


class Changed(Event, frozen=True):
    """Cells, or counts, of these names were written."""

    names: tuple[str, ...]


class Cells(Instance):
    """Bytes under names."""

    typename = "cells"
    keys = (CELL,)
    emits = (Changed,)


class Echo(Instance):
    """How often a name was changed in the instances that this one follows; can be followed itself."""

    typename = "echo"
    keys = (COUNT,)
    emits = (Changed,)

    async def hold(self, event: Changed) -> None:
        """Called before an event is handled; for tests to override."""

    async def count(self, m: Mutation, event: Changed) -> None:
        """Add one to the count of each name."""
        await self.hold(event)
        for name in event.names:
            m.put(COUNT.key(name), b"%d" % (int(await m.get(COUNT.key(name)) or b"0") + 1))
        m.record({"Action": "count"}, events=[Changed(event.names)], payload=event.names)

    handles: ClassVar = {Changed: count}

    async def open(self) -> None:
        self.applied: list[tuple[int, int]] = []

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.applied.append((version, number))


class CellsPlugin:
    """Offers the datatypes of this module, or those given, to one server."""

    def __init__(self, *types: type[Instance]) -> None:
        self.types = types or (Cells, Echo)

    @hookimpl
    def dvid_datatypes(self) -> Sequence[type[Instance]]:
        return self.types


def engine_config(engine: str, **options: Any) -> Config:
    """A server at any free port, with one store of this engine."""
    section = StoreSection(engine=engine, alias="default", options=options)
    settings = ServerSettings(http_address="127.0.0.1:0", shutdown_delay=0)
    return Config(stores={"default": section}, backend=Backend(default="default", metadata="default"), server=settings)


async def open_cells(folder: Path | None = None, *types: type[Instance]) -> Server:
    """A server with these datatypes on RocksDB in `folder`, or in memory."""
    config = engine_config("rocksdb", path=str(folder), cache_mib=8) if folder else engine_config("memory")
    return await Server.open(config, plugins=(builtin, CellsPlugin(*types)), admin_token="")


async def put(view: View, changes: dict[str, bytes | None], *, with_id: bool = False) -> Edited[None]:
    """Write or delete cells in one edit that emits one event."""

    async def change(m: Mutation) -> None:
        for name, value in changes.items():
            if value is None:
                m.delete(CELL.key(name))
            else:
                m.put(CELL.key(name), value)
        m.record({"Action": "put"}, events=[Changed(tuple(changes))], payload=list(changes))

    return await view.edit("put", change, with_id=with_id)
