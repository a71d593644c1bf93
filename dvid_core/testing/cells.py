"""The least that datatypes can be: `Cells` holds bytes under names, `Echo` counts the changes of what it follows.

The module is a plug-in, for servers that are processes of their own; `open_cells` opens one in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from .. import builtin
from ..config import Backend, Config, ServerSettings, StoreSection
from ..errors import NotFound
from ..events import Event
from ..hookspecs import hookimpl
from ..instance import Instance
from ..keys import TEXT, KeyClass
from ..mutation import Edited, Mutation
from ..mutlog import LogRecord
from ..requests import EMPTY, OCTETS, Caller, Reply, Request
from ..routes import get, post
from ..server import Server
from ..values import Staged
from ..view import Disputed, View

CELL = KeyClass(1, "cell", TEXT)
COUNT = KeyClass(1, "count", TEXT)
USER = Caller(user="tester")


class Changed(Event, frozen=True):
    """Cells, or counts, of these names were written."""

    names: tuple[str, ...]


async def put(view: View, changes: dict[str, Any], *, with_id: bool = False) -> Edited[None]:
    """Write cells (bytes or staged values) or delete them (None) in one edit that emits one event."""

    async def change(m: Mutation) -> None:
        for name, value in changes.items():
            if value is None:
                m.delete(CELL.key(name))
            else:
                m.put(CELL.key(name), value)
        entry = {"Action": "put", "Names": list(changes), "MutationID": m.id}
        m.record(entry, events=[Changed(tuple(changes))], payload=list(changes))

    return await view.edit("put", change, with_id=with_id)


async def post_cell(view: View, name: str, request: Request) -> Reply:
    """Put the body, of any size, under <name>."""
    value = await view.stage(request.chunks())
    try:
        await put(view, {name: value}, with_id=True)
    except BaseException:
        if isinstance(value, Staged) and value.id in view.instance.live_stages:
            await view.discard(value)
        raise
    return EMPTY


async def post_cells(view: View, request: Request) -> Reply:
    """Put several cells in one edit: {<name>: <text>, ...}."""
    changes: dict[str, str] = await request.json(dict[str, str])
    await put(view, {name: text.encode() for name, text in changes.items()}, with_id=True)
    return EMPTY


async def get_cell(view: View, name: str) -> Reply:
    """What lies under <name>."""
    found = await view.open(CELL.key(name))
    if found is None:
        raise NotFound(f"cell {name!r} not found")
    return Reply(content_type=OCTETS, stream=found.chunks(), length=found.size)


async def get_all(view: View) -> Reply:
    """All cells, or counts: {<name>: <text>, ...}."""
    found = {}
    async for page in view.scan(*CELL.all()):
        for tkey, value in page:
            assert not isinstance(value, Disputed)
            found[CELL.unpack(tkey)[0]] = (await value.read()).decode(errors="replace")
    return Reply.json(found)


class Cells(Instance):
    """Bytes under names."""

    typename = "cells"
    keys = (CELL,)
    emits = (Changed,)
    routes = (
        post("cell/{name}", post_cell),
        get("cell/{name}", get_cell),
        post("cells", post_cells),
        get("cells", get_all),
    )


class Echo(Instance):
    """How often a name was changed in the instances that this one follows; can be followed itself."""

    typename = "echo"
    keys = (COUNT,)
    emits = (Changed,)
    routes = (get("counts", get_all),)

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


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Cells, Echo]


class CellsPlugin:
    """Offers these datatypes, or others instead, to one server."""

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
