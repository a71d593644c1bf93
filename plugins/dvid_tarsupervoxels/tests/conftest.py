"""A server with this plug-in and a label datatype, and an instance on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_tarsupervoxels
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from . import segments
from .meshes import Meshes, new_meshes

__all__ = ["engine", "meshes", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_tarsupervoxels, segments)


@pytest_asyncio.fixture
async def meshes(server: RunningServer) -> Meshes:
    """An instance without versions and without files, synced to labels, at the root of a new repo."""
    return await new_meshes(server)
