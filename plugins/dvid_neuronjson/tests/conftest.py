"""A server with this plug-in, and an instance on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_neuronjson
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from . import pairs
from .place import Place, new_place

__all__ = ["engine", "nj", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_neuronjson, pairs)


@pytest_asyncio.fixture
async def nj(server: RunningServer) -> Place:
    """An empty instance, seen from the root of a new repo."""
    return await new_place(server)
