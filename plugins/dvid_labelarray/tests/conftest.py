"""A server with this plug-in, and a small labelarray on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_labelarray
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from .bodies import Bodies, new_bodies

__all__ = ["bodies", "engine", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelarray,)


@pytest_asyncio.fixture
async def bodies(server: RunningServer) -> Bodies:
    """An empty labelarray with blocks of 16 voxels a side and two lower scales, seen from the root of a new repo."""
    return await new_bodies(server)
