"""A server with this plug-in, and a small service that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import ModuleType

import dvid_googlevoxels
import pytest
import pytest_asyncio

from dvid_core.testing.fixtures import engine, pytest_asyncio_loop_factories, server

from .service import Service, serving

__all__ = ["engine", "plugins", "pytest_asyncio_loop_factories", "server", "service"]


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    return (dvid_googlevoxels,)


@pytest.fixture(autouse=True)
def not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account of the machine that runs the tests is used."""
    for name in ("URL", "CREDENTIALS", "TOKEN"):
        monkeypatch.delenv(f"DVID_BRAINMAPS_{name}", raising=False)


@pytest_asyncio.fixture
async def service(monkeypatch: pytest.MonkeyPatch, not_configured: None) -> AsyncIterator[Service]:
    """A service that is configured, with a token."""
    async with serving(Service()) as found:
        monkeypatch.setenv("DVID_BRAINMAPS_URL", f"{found.url}/v1")
        monkeypatch.setenv("DVID_BRAINMAPS_TOKEN", "let-me-in")
        found.token = "let-me-in"
        yield found
