"""Versions on every engine beside a plain model, and every way by which a view finds its values.

HYPOTHESIS_PROFILE=more runs twenty times as many examples.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings

from dvid_core.config import Config
from dvid_core.mutation import Mutation
from dvid_core.storage.base import Page, Store
from dvid_core.storage.wrap import Wrapped
from dvid_core.testing.cells import CELL, USER, Cells, engine_config, open_cells, put
from dvid_core.testing.model import VersionsMachine
from dvid_core.testing.versions import Versions, check_reads, scanned
from dvid_core.view import FEW, View

MORE = os.environ.get("HYPOTHESIS_PROFILE") == "more"
EXAMPLES = 1200 if MORE else 60
pytestmark = pytest.mark.timeout(7200 if MORE else 300)
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class MemoryMachine(VersionsMachine):
    persistent = False

    def config(self, folder: Path) -> Config:
        return engine_config("memory")


class RocksMachine(VersionsMachine):
    def config(self, folder: Path) -> Config:
        return engine_config("rocksdb", path=str(folder / "store"), cache_mib=8)


TestVersionsInMemory = MemoryMachine.TestCase
TestVersionsInMemory.settings = SETTINGS
TestVersionsInRocks = RocksMachine.TestCase
TestVersionsInRocks.settings = SETTINGS


# The ways of a view by the number of versions that wrote the class


class Watched(Wrapped):
    """Notes the names of the reads, runs `meanwhile` before a scan begins and `after_get_many` after one of those."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls: list[str] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.after_get_many: Callable[[], Awaitable[object]] | None = None

    async def get(self, key: bytes) -> bytes | None:
        self.calls.append("get")
        return await super().get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.calls.append("get_many")
        found = await super().get_many(keys)
        then, self.after_get_many = self.after_get_many, None
        if then is not None:
            await then()
        return found

    async def scan(self, start: bytes, stop: bytes, **options: Any) -> AsyncIterator[Page]:
        self.calls.append("scan")
        if self.meanwhile is not None:
            await self.meanwhile()
        async for page in super().scan(start, stop, **options):
            yield page

    async def scan_many(self, ranges: Sequence[tuple[bytes, bytes]], *, limit: int) -> list[Page]:
        self.calls.append("scan_many")
        return await super().scan_many(ranges, limit=limit)


@pytest.fixture(params=["memory", "rocksdb"])
async def cells(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cells]:
    server = await open_cells(tmp_path / "store" if request.param == "rocksdb" else None)
    repo = await server.repos.create()
    instance = await server.repos.create_instance(repo, repo.dag.root, {"typename": "cells", "dataname": "cells"})
    await instance.ready()
    instance.store = Watched(instance.store)
    yield cast(Cells, instance)
    await server.aclose()


async def write_chain(cells: Cells, length: int) -> Versions:
    """Versions in a row that all write "all" and a key of their own and delete one of before; beside each of them a
    foreign branch that writes the same keys.  The last one of the row is open and wrote nothing."""
    model, repo, node = Versions(), cells.repo, cells.repo.dag.root
    model.add(node.version, ())
    for n in range(length):
        changes = {"all": b"%d" % n, f"own {n}": b"v", f"own {n - 3}": None if n > 2 else b"early"}
        await put(View(cells, node, USER), changes)
        model.wrote[node.version] = changes
        await repo.commit(node, "", [], USER)
        foreign = await repo.branch(node, f"foreign {n}")
        await put(View(cells, foreign, USER), dict.fromkeys(changes, b"foreign"))
        model.add(foreign.version, foreign.parents)
        model.wrote[foreign.version] = dict.fromkeys(changes, b"foreign")
        node = await repo.new_version(node)
        model.add(node.version, node.parents)
    return model


@pytest.mark.parametrize(
    ("writers", "calls"),
    [
        (0, set()),
        (1, {"get", "get_many"}),
        (2, {"get_many"}),
        (FEW - 1, {"get_many"}),
        (FEW, {"scan", "scan_many"}),
        (4 * FEW, {"scan", "scan_many"}),
    ],
)
async def test_reads_are_right_however_many_versions_wrote(cells: Cells, writers: int, calls: set[str]) -> None:
    model = await write_chain(cells, writers)
    nodes = cells.repo.dag.nodes
    leaf = View(cells, [n for n in nodes.values() if n.branch == ""][-1], USER)
    assert len(leaf.writers(CELL.number)) == writers
    store = cast(Watched, cells.store)
    store.calls.clear()
    assert await leaf.get(CELL.key("all")) == (b"%d" % (writers - 1) if writers else None)
    assert len(await leaf.find_many([CELL.key("own 0"), CELL.key("own 1")])) == 2
    assert set(store.calls) == calls
    for version in nodes:
        names = [*model.names(), "never", "all", "all"]
        await check_reads(View(cells, nodes[version], USER), model.all(version), names)


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("seen_from", ["root", "child"])
async def test_scan_does_not_mix_in_what_a_child_writes_before_it_begins(
    cells: Cells, seen_from: str, keys: bool
) -> None:
    root = cells.repo.dag.root
    await put(View(cells, root, USER), {"a": b"root"})
    await cells.repo.commit(root, "", [], USER)
    child = await cells.repo.new_version(root)
    view = View(cells, root if seen_from == "root" else child, USER)
    store = cast(Watched, cells.store)
    store.meanwhile = lambda: put(View(cells, child, USER), {"a": b"child", "b": b"child"})
    if keys:
        assert [t async for page in view.scan_keys(*CELL.all()) for t in page] == [CELL.key("a")]
    else:
        assert await scanned(view, *CELL.all()) == {"a": b"root"}
    assert cells.has_written(CELL.number, child.version)


async def test_edit_is_made_of_what_it_expects_although_another_value_came_and_went_meanwhile(cells: Cells) -> None:
    view, store = View(cells, cells.repo.dag.root, USER), cast(Watched, cells.store)
    await put(view, {"a": b"1"})

    async def change(m: Mutation) -> None:
        store.after_get_many = lambda: put(view, {"a": b"2"})
        read = await m.get(CELL.key("a"))
        await put(view, {"a": b"1"})
        m.put(CELL.key("a"), (read or b"") + b"+")

    await view.edit("change", change)
    assert await view.get(CELL.key("a")) == b"1+"
