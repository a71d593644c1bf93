"""A real Chromium without a window, and Neuroglancer in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from dvid_core.testing.fixtures import pytest_asyncio_loop_factories

__all__ = ["browser", "pytest_asyncio_loop_factories"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# WebGL 2 without a graphics card; the sandbox needs rights that containers do not have.
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def find_chromium() -> str:
    """The path of an installed Chromium; without one the test is skipped, in CI it fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    reason = f"NOT TESTED IN A BROWSER: none of {', '.join(NAMES)} is installed; on Debian: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium, ended with the test."""
    path = find_chromium()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield started
        finally:
            await started.close()
