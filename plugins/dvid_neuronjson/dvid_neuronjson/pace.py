"""Long loops on the event loop, with turns for other requests in between."""

from __future__ import annotations

import asyncio
from time import perf_counter

TURN_SECONDS = 0.004


class Pace:
    """`await pace.step()` in a loop lets others run whenever a turn is over."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = perf_counter()

    @property
    def due(self) -> bool:
        """Whether the turn is over; cheaper to look at than `step`."""
        return perf_counter() - self._since > TURN_SECONDS

    async def step(self) -> None:
        """Let others run if the turn is over."""
        if self.due:
            await asyncio.sleep(0)
            self._since = perf_counter()
