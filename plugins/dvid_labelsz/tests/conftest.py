"""A server with this plug-in and an annotation datatype, and an instance on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

import dvid_labelsz
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from . import points
from .sizes import Sizes, new_sizes

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "server", "sizes"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelsz, points)


@pytest_asyncio.fixture
async def sizes(server: RunningServer) -> Sizes:
    """An instance without counts, synced to two annotations, at the root of a new repo."""
    return await new_sizes(server)


@pytest.fixture(autouse=True)
def open_gate() -> Iterator[None]:
    yield
    points.Points.gate = None
