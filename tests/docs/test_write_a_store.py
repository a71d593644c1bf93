"""The engine that docs/write-a-store.md shows, by the tests that it shows: run as they stand on the page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import dvid_keyvalue
import pytest

from dvid_core.config import load_config
from dvid_core.storage.base import Store
from dvid_core.testing.fixtures import pytest_asyncio_loop_factories, running

from .pages import blocks

__all__ = ["pytest_asyncio_loop_factories"]

SHOWN = {block.title: block.code for block in blocks("python") if block.page == "write-a-store.md"}


def module_of(name: str) -> ModuleType:
    """A module made of what the page shows under this name."""
    module = ModuleType(name)
    exec(compile(SHOWN[f"{name}.py"], f"write-a-store.md:{name}", "exec"), vars(module))
    return module


sys.modules["dvid_sqlite"] = dvid_sqlite = module_of("dvid_sqlite")
shown = module_of("test_dvid_sqlite")
TestSqlite, TestSqliteMachine, TestSqliteVersions = shown.TestSqlite, shown.TestSqliteMachine, shown.TestSqliteVersions


async def test_an_engine_of_two_servers_is_in_use(tmp_path: Path) -> None:
    settings = dvid_sqlite.SqliteConfig(path=str(tmp_path / "file"))
    first: Store = await dvid_sqlite.SqliteStore.open(settings)
    with pytest.raises(dvid_sqlite.StoreInUse):
        await dvid_sqlite.SqliteStore.open(settings)
    await first.aclose()
    await (await dvid_sqlite.SqliteStore.open(settings)).aclose()


async def test_a_foreign_file_is_refused_untouched(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"a diary\n" * 100)
    with pytest.raises(dvid_sqlite.ConfigError):
        await dvid_sqlite.SqliteStore.open(dvid_sqlite.SqliteConfig(path=str(place)))
    assert place.read_bytes() == b"a diary\n" * 100


async def test_a_server_runs_on_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "dvid.toml"
    file.write_text('[store.main]\nengine = "sqlite"\npath = "data.sqlite"\n')
    plugins: Sequence[ModuleType] = (dvid_keyvalue, dvid_sqlite)
    async with running(load_config(file), tmp_path, plugins=plugins) as server:
        place = await server.instance(await server.repo(), "kv", "keyvalue")
        await server.post(f"{place}/key/a", b"small")
        await server.post(f"{place}/key/b", b"large" * 1_000_000)
        await server.restart()
        assert await server.get(f"{place}/keys") == ["a", "b"]
        assert await server.get(f"{place}/key/b") == b"large" * 1_000_000
        assert (tmp_path / "data.sqlite").exists()
