"""A server with this plug-in, and a small labelmap on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_labelmap
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from .segmentation import Segmentation, new_segmentation

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "seg", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelmap,)


@pytest_asyncio.fixture
async def seg(server: RunningServer) -> Segmentation:
    """An empty labelmap with blocks of 16 voxels a side and two lower scales, seen from the root of a new repo."""
    return await new_segmentation(server)
