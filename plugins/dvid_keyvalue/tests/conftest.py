"""A server with this plug-in, and an instance of keyvalue on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_keyvalue
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from .pairs import Pairs, new_pairs

__all__ = ["engine", "kv", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_keyvalue,)


@pytest_asyncio.fixture
async def kv(server: RunningServer) -> Pairs:
    """An empty instance, seen from the root of a new repo."""
    return await new_pairs(server)
