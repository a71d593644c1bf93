"""`World`: a server core without its network side, one repo in it, instances of `Cells` and `Echo` by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from ..dag import Node
from ..instance import Instance
from ..mutation import Edited
from ..mutlog import read_log
from ..server import Server
from ..view import View
from .cells import COUNT, USER, Cells, Changed, Echo, open_cells, put

Hold = Callable[[Echo, Changed], Awaitable[None]]


class World:
    """Opened at a folder, on RocksDB, or in memory; `root` is the UUID of its repo."""

    server: Server

    def __init__(self, place: Path | None) -> None:
        self.place, self.root = place, ""

    async def open(self, hold: Hold | None = None) -> World:
        """Open it (again); `hold` is called before each event is handled."""
        echo = type("HeldEcho", (Echo,), {"hold": hold}) if hold is not None else Echo
        self.server = await open_cells(self.place, Cells, echo)
        if not self.root:
            self.root = (await self.server.repos.create()).root
        return self

    async def again(self, hold: Hold | None = None) -> None:
        """Close and open it; in memory everything is gone then."""
        await self.server.aclose()
        if self.place is None:
            self.root = ""
        await self.open(hold)
        for instance in self.server.repos.find(self.root)[0].instances.values():
            await instance.ready()

    @property
    def node(self) -> Node:
        return self.server.repos.find(self.root)[1]

    def __getitem__(self, name: str) -> Instance:
        return self.server.repos.find(self.root)[0].instance(name)

    def view(self, name: str, node: Node | None = None) -> View:
        """An instance as a user sees it, from the root unless told otherwise."""
        return View(self[name], node or self.node, USER)

    async def make(self, name: str, typename: str, *follows: str, versioned: bool = True) -> None:
        repo, node = self.server.repos.find(self.root)
        config = {"typename": typename, "dataname": name, "versioned": versioned}
        instance = await self.server.repos.create_instance(repo, node, config)
        await instance.ready()
        await self.server.sync(instance, list(follows), replace=False)

    async def follow(self, name: str, *follows: str, replace: bool = False) -> None:
        await self.server.sync(self[name], list(follows), replace=replace)

    async def put(self, name: str, *cells: str, node: Node | None = None) -> Edited[None]:
        return await put(View(self[name], node or self.node, USER), dict.fromkeys(cells, b"v"), with_id=True)

    async def counts(self, name: str, node: Node | None = None) -> dict[str, int]:
        view = View(self[name], node or self.node)
        return {
            COUNT.unpack(t)[0]: int(await v.read())  # type: ignore[union-attr]
            async for page in view.scan(*COUNT.all()) for t, v in page
        }  # fmt: skip

    async def records(self, name: str, version: int | None = None) -> int:
        instance = self[name]
        found = [
            n async for n, _ in read_log(instance.store, instance.id, self.node.version if version is None else version)
        ]
        assert found == list(range(1, len(found) + 1)), "the log has a gap"
        return len(found)
