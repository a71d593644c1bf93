"""A server with this plug-in, and a small instance of uint8blk on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_imageblk
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import RunningServer, engine, pytest_asyncio_loop_factories, server

from . import regions
from .images import Images, new_images

__all__ = ["engine", "gray", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_imageblk, regions)


@pytest_asyncio.fixture
async def gray(server: RunningServer) -> Images:
    """An empty uint8blk with blocks of 16 x 8 x 4 (x, y, z), seen from the root of a new repo."""
    return await new_images(server)
