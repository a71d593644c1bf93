"""A server with this plug-in, and what tests ask of an annotation on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_annotation
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from . import labels
from .place import Place, new_place

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "server", "syn"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_annotation, labels)


@pytest_asyncio.fixture
async def syn(server: RunningServer) -> Place:
    """An empty annotation, seen from the root of a new repo."""
    return await new_place(server)
