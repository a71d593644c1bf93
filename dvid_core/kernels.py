"""The one way off the event loop: plain functions over bytes and arrays, run by a pool of threads.

A kernel should release the GIL (`dvid_core.testing.assert_releases_gil` proves it).  Work below about 0.2 ms is
better called inline: a hop to a thread costs 35 to 75 us.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Kernels:
    """A pool of as many threads as there are cores; further calls wait their turn."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or max(2, os.cpu_count() or 2)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="kernel")
        self.active = 0

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`fn(*args, **kwargs)` in a thread.  When the caller is cancelled, a call that has not begun never runs."""
        self.active += 1
        try:
            future = self._pool.submit(fn, *args, **kwargs)
            return await asyncio.wrap_future(future)
        finally:
            self.active -= 1

    def close(self) -> None:
        """Drop the calls that wait, and let those that run come to their end."""
        self._pool.shutdown(wait=True, cancel_futures=True)
