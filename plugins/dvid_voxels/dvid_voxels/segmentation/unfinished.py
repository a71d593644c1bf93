"""`Unfinished`: the versions at which edits still have something to do after their commit: blocks to move, scales."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Unfinished:
    """One per instance."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._changed = asyncio.Event()

    @contextmanager
    def at(self, version: int) -> Iterator[None]:
        """Around such work."""
        self._counts[version] = self._counts.get(version, 0) + 1
        try:
            yield
        finally:
            self._counts[version] -= 1
            if not self._counts[version]:
                del self._counts[version]
                self._changed.set()
                self._changed = asyncio.Event()

    def is_at(self, version: int) -> bool:
        """Whether there is any at this version."""
        return version in self._counts

    async def none(self, which: Callable[[int], bool]) -> None:
        """Return when there is none at the versions for which `which` is true."""
        while any(which(version) for version in self._counts):
            await self._changed.wait()
