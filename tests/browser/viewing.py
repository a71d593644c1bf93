"""`Viewing`: Neuroglancer in a page of a browser, with layers of a DVID server, and what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import neuroglancer
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, Response

Pixels: TypeAlias = NDArray[np.uint8]

SECONDS = 120
WIDTH, HEIGHT = 800, 600


class Viewing:
    """One page; `answers` holds the replies of the DVID server that the browser got."""

    def __init__(self, page: Page, viewer: Any, url: str) -> None:
        self.page, self.viewer, self.url = page, viewer, url
        self.answers: list[Response] = []
        page.on("response", self._note)

    def _note(self, answer: Response) -> None:
        if answer.url.startswith(self.url):
            self.answers.append(answer)

    def asked(self, words: str) -> list[str]:
        """The addresses with these words that were asked for."""
        return [a.url for a in self.answers if words in a.url]

    async def picture(self) -> Pixels:
        """What is shown once every chunk that it needs is there: (HEIGHT, WIDTH, 3)."""
        async with asyncio.timeout(SECONDS):
            taken = await asyncio.to_thread(self.viewer.screenshot)
        pixels: Pixels = taken.screenshot.image_pixels[..., :3]
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        return pixels


@asynccontextmanager
async def viewing(browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Viewing]:
    """Neuroglancer, served by itself from another origin than the server at `url`."""
    # It looks for a token before it asks a DVID server; without one that it knows it asks as anybody.
    monkeypatch.setenv("DVID_CREDENTIALS", f"{url}=none")
    viewer = neuroglancer.Viewer()
    page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    try:
        found = Viewing(page, viewer, url)
        await page.goto(viewer.get_viewer_url())
        yield found
    finally:
        await page.close()
        neuroglancer.stop()
