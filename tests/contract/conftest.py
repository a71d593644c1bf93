"""A server without HTTP, with instances that emit and handle events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dvid_core.testing.world import World


@pytest.fixture(params=["memory", "rocksdb"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """An open world on each engine."""
    world = await World(tmp_path / "store" if request.param == "rocksdb" else None).open()
    yield world
    await world.server.aclose()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[World]:
    """A world that survives its server."""
    world = await World(tmp_path / "store").open()
    yield world
    await world.server.aclose()
