"""A server's core beside a plain model of versions, driven over random DAGs.

class MyMachine(VersionsMachine):
    def config(self, folder: Path) -> Config:
        return engine_config("my-engine", path=str(folder))

TestMyMachine = MyMachine.TestCase
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .. import builtin
from ..config import Config
from ..dag import Node
from ..errors import NameTaken, NodeLocked, Refused
from ..mutation import Mutation
from ..repo import Repo
from ..resolve import resolve
from ..server import Server
from ..view import View
from . import draws
from .cells import CELL, USER, CellsPlugin, put
from .versions import Versions, check_reads, scanned

R = TypeVar("R")


class VersionsMachine(RuleBasedStateMachine):
    """Makes versions, writes and reads them; what is read must be what the model says."""

    persistent: ClassVar[bool] = True
    """Whether a server that is opened again has what was committed."""
    plugins: ClassVar[Sequence[Any]] = ()
    """Plug-ins beside the installed ones, such as that of the engine."""

    def config(self, folder: Path) -> Config:
        """The server to test; `folder` is empty, or holds what an earlier one, closed since, left there."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.model = Versions()
        self.flat: dict[str, bytes | None] = {}
        """What the unversioned instance holds."""
        self.records: dict[tuple[str, int], int] = {}
        self.last_id = self.steps = 0
        self.server: Server | None = None
        self.repo: Repo

    def run_(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        return self.runner.run(call())

    async def open(self) -> Server:
        return await Server.open(self.config(Path(self.folder.name)), plugins=(builtin, CellsPlugin(), *self.plugins))

    @initialize()
    def start(self) -> None:
        async def make() -> None:
            self.server = await self.open()
            self.repo = await self.server.repos.create()
            for name in ("cells", "flat"):
                config = {"typename": "cells", "dataname": name, "versioned": name == "cells"}
                await self.server.repos.create_instance(self.repo, self.repo.dag.root, config)

        self.run_(make)
        self.model.add(self.repo.dag.root.version, ())

    def teardown(self) -> None:
        if self.server is not None:
            self.run_(self.server.aclose)
        self.runner.close()
        self.folder.cleanup()

    @precondition(lambda self: self.persistent)
    @rule()
    def restart(self) -> None:
        assert self.server is not None
        self.run_(self.server.aclose)
        self.server = self.run_(self.open)
        self.repo, _ = self.server.repos.find(self.repo.root)
        for instance in self.repo.instances.values():
            self.run_(instance.ready)

    # -- versions

    def node(self, version: int) -> Node:
        return self.repo.dag.nodes[version]

    def view(self, version: int, name: str = "cells") -> View:
        return View(self.repo.instances[name], self.node(version), USER)

    def make(self, call: Callable[[], Coroutine[Any, Any, Node]]) -> None:
        node = self.run_(call)
        self.model.add(node.version, node.parents, node.locked)

    @draws.has_open
    @rule(version=draws.OPEN)
    def commit(self, version: int) -> None:
        self.run_(lambda: self.repo.commit(self.node(version), "", [], USER))
        self.model.locked.add(version)

    @rule(version=draws.VERSIONS)
    def make_child(self, version: int) -> None:
        branch = self.node(version).branch
        taken = any(version in ps and self.node(v).branch == branch for v, ps in self.model.parents.items())
        if version in self.model.locked and not taken:
            self.make(lambda: self.repo.new_version(self.node(version)))
        else:
            with pytest.raises(NameTaken if version in self.model.locked else Refused):
                self.run_(lambda: self.repo.new_version(self.node(version)))

    @draws.has_locked
    @rule(version=draws.LOCKED)
    def make_branch(self, version: int) -> None:
        self.make(lambda: self.repo.branch(self.node(version), f"branch-{len(self.model.parents)}"))

    @draws.has_open
    @rule(version=draws.OPEN, changes=st.lists(draws.CHANGES, min_size=2, max_size=5))
    def make_chain(self, version: int, changes: list[dict[str, bytes | None]]) -> None:
        for change in changes:
            self.write(version, change)
            self.commit(version)
            self.make_branch(version)
            version = max(self.model.parents)

    @draws.has_open
    @rule(version=draws.OPEN, sides=draws.SIDES, settled=st.booleans())
    def make_diamond(self, version: int, sides: list[dict[str, bytes | None]], settled: bool) -> None:
        self.commit(version)
        tips = []
        for changes in sides:
            self.make_branch(version)
            tips.append(max(self.model.parents))
            if changes:
                self.write(tips[-1], changes)
            self.commit(tips[-1])
        (self.resolve if settled else self.merge)(tips)

    @draws.has_locked
    @rule(version=draws.LOCKED)
    def tag(self, version: int) -> None:
        name = f"tag {len(self.model.parents)}"
        self.make(lambda: self.repo.tag(self.node(version), name))
        with pytest.raises(NameTaken):
            self.run_(lambda: self.repo.tag(self.node(version), name))

    @draws.has_parents
    @rule(parents=draws.PARENTS)
    def merge(self, parents: list[int]) -> None:
        self.make(lambda: self.repo.merge([self.node(p) for p in parents]))

    @draws.has_parents
    @rule(parents=draws.PARENTS)
    def resolve(self, parents: list[int]) -> None:
        known, nodes = set(self.repo.dag.nodes), [self.node(p) for p in parents]
        child = self.run_(lambda: resolve(self.repo, [self.repo.instances["cells"]], nodes, "", USER)).version
        wanted = self.model.settled(parents)
        for version in sorted(self.repo.dag.nodes.keys() - known):
            self.model.add(version, self.node(version).parents, self.node(version).locked)
            before, view = self.model.all(version), self.view(version)
            after = self.run_(lambda view=view: scanned(view, *CELL.all()))  # type: ignore[misc]
            # A helper may delete what its parent loses, the child may write what wins; and nothing else.
            for key, value in wanted.items():
                if after.get(key) != before.get(key):
                    assert not isinstance(after.get(key), frozenset)
                    assert after.get(key) in (value if version == child else {None})
                    self.model.wrote[version][key] = after.get(key)  # type: ignore[assignment]
                    self.records["cells", version] = 1
        assert all(self.model.sees(child, key) in value for key, value in wanted.items())
        assert not self.node(child).locked

    # -- edits

    def noted(self, name: str, version: int, number: int, mutation_id: int) -> None:
        at = (name, version if name == "cells" else 0)
        self.records[at] = self.records.get(at, 0) + 1
        assert number == self.records[at], "the log has a gap"
        assert mutation_id > self.last_id, "a mutation id was given twice"
        self.last_id = mutation_id

    @draws.has_open
    @rule(version=draws.OPEN, changes=draws.CHANGES)
    def write(self, version: int, changes: dict[str, bytes | None]) -> None:
        done = self.run_(lambda: put(self.view(version), changes, with_id=True))
        self.model.wrote[version] |= changes
        self.noted("cells", version, done.number, done.mutation_id)

    @draws.has_locked
    @rule(version=draws.LOCKED, changes=draws.CHANGES)
    def write_in_vain(self, version: int, changes: dict[str, bytes | None]) -> None:
        with pytest.raises(NodeLocked):
            self.run_(lambda: put(self.view(version), changes))

    @rule(version=draws.VERSIONS, changes=draws.CHANGES)
    def write_unversioned(self, version: int, changes: dict[str, bytes | None]) -> None:
        done = self.run_(lambda: put(self.view(version, "flat"), changes, with_id=True))
        self.flat |= changes
        self.noted("flat", version, done.number, done.mutation_id)

    @draws.has_open
    @rule(version=draws.OPEN, key=draws.NAMES, other=draws.NAMES, value=draws.VALUES)
    def write_what_was_read(self, version: int, key: str, other: str, value: bytes) -> None:
        """An edit is made of what is there when it is committed: it runs again when that changed meanwhile."""
        view, tries = self.view(version), 0

        async def append(m: Mutation) -> None:
            nonlocal tries
            before = await m.get(CELL.key(key))
            if not (tries := tries + 1) > 1:
                await put(view, {other: value})
            m.put(CELL.key(key), (before or b"")[:8] + b"+")
            assert await m.get(CELL.key(key)) == (before or b"")[:8] + b"+"

        if isinstance(self.model.sees(version, key), frozenset):
            return
        was = self.model.sees(version, other)
        self.run_(lambda: view.edit("append", append))
        self.records["cells", version] = self.records.get(("cells", version), 0) + 1
        self.model.wrote[version][other] = value
        assert tries == 1 if key != other else tries == 2 or was == value
        now = self.model.sees(version, key)
        assert not isinstance(now, frozenset)
        self.model.wrote[version][key] = (now or b"")[:8] + b"+"

    # -- reads

    @rule(version=draws.VERSIONS, names=st.lists(draws.NAMES, min_size=1, max_size=7))
    def read(self, version: int, names: list[str]) -> None:
        self.run_(lambda: check_reads(self.view(version), self.model.all(version), names))
        flat = {key: self.flat[key] for key in sorted(self.flat, key=str.encode) if self.flat[key] is not None}
        self.run_(lambda: check_reads(self.view(version, "flat"), dict(flat), names))

    @invariant()
    def a_version_reads_as_it_should(self) -> None:
        """All versions take their turn, so that locked ones are seen not to change."""
        self.steps += 1
        if versions := sorted(self.model.parents):
            version = versions[self.steps % len(versions)]
            self.run_(lambda: check_reads(self.view(version), self.model.all(version), self.model.names() or [""]))
