"""A server whose stores are volumes in this folder, or that a test made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import dvid_imageblk
import dvid_precomputed
import pytest
import pytest_asyncio

from dvid_core.config import Backend, Config, StoreSection
from dvid_core.testing.fixtures import RunningServer, config_of, engine, pytest_asyncio_loop_factories, running

from .volumes import VOLUMES

__all__ = ["engine", "pytest_asyncio_loop_factories"]

Served: TypeAlias = Callable[..., AbstractAsyncContextManager[RunningServer]]


def with_volumes(config: Config, volumes: Mapping[str, Mapping[str, Any]]) -> Config:
    """`config` with its store named main, and a store for each volume: options by aliases."""
    main = config.stores["default"]
    stores = {"main": StoreSection(engine=main.engine, alias="main", options=main.options)}
    for alias, options in volumes.items():
        stores[alias] = StoreSection(engine="ngprecomputed", alias=alias, options=dict(options))
    return Config(stores=stores, backend=Backend(default="main", metadata="main"))


@pytest.fixture
def serve(tmp_path: Path) -> Served:
    """Makes servers: `serve(ng={"ref": ...})` shows a volume as the store `ng`."""

    def start(engine: str = "memory", **volumes: Mapping[str, Any]) -> AbstractAsyncContextManager[RunningServer]:
        config = with_volumes(config_of(engine, tmp_path), volumes)
        return running(config, tmp_path, plugins=(dvid_imageblk, dvid_precomputed))

    return start


@pytest_asyncio.fixture
async def server(serve: Served, engine: str) -> AsyncIterator[RunningServer]:
    """A server with the three recorded volumes as the stores ng-unsharded, ng-raw and ng-sharded."""
    volumes = {f"ng-{name}": {"ref": f"file://{VOLUMES / name}"} for name in ("unsharded", "raw", "sharded")}
    async with serve(engine, **volumes) as found:
        yield found
