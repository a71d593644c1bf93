"""Doing the next piece of work while the last one is used."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")


async def pipelined(jobs: Iterable[Coroutine[Any, Any, T]], ahead: int = 1) -> AsyncIterator[T]:
    """The results of `jobs` in their order; while the caller works on one, the next `ahead` run.

    `jobs` should make its coroutines as it is asked for them.  When the caller stops or fails, what still runs is
    cancelled and waited for.
    """
    source = iter(jobs)
    running = deque(asyncio.ensure_future(job) for job in islice(source, max(1, ahead)))
    try:
        while running:
            result = await running[0]
            running.popleft()
            running.extend(asyncio.ensure_future(job) for job in islice(source, ahead - len(running)))
            yield result
            del result  # it may be large
            if not running:
                running.extend(asyncio.ensure_future(job) for job in islice(source, 1))
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.gather(*running, return_exceptions=True)


async def spread(jobs: Iterable[Coroutine[Any, Any, None]], width: int) -> None:
    """Run `jobs`, at most `width` at a time; the first failure ends the others and is raised."""
    async for _ in pipelined(jobs, width):
        pass
