"""A server for the benchmark to ask."""

from __future__ import annotations

from dvid_core.testing.fixtures import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
