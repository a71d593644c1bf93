"""A server with this plug-in, and an roi on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_roi
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from .place import Place

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "roi", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_roi,)


@pytest_asyncio.fixture
async def roi(server: RunningServer) -> Place:
    """An empty roi with blocks of 32 voxels a side, seen from the root of a new repo."""
    return await new_roi(server)


async def new_roi(server: RunningServer, **settings: str) -> Place:
    uuid = await server.repo()
    await server.instance(uuid, "r", "roi", **settings)
    return Place(server, uuid)
