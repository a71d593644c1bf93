"""A server with this plug-in."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import dvid_labelvol
import pytest

from dvid_core.testing.fixtures import engine, pytest_asyncio_loop_factories, server

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "server"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_labelvol,)
