"""Working ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from dvid_voxels.pipeline import pipelined, spread


class Jobs:
    """Jobs that end when they are told to, and tell which of them ran."""

    def __init__(self, count: int) -> None:
        self.gates = [asyncio.Event() for _ in range(count)]
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    def __iter__(self) -> Iterator[Coroutine[Any, Any, int]]:
        return (self.job(n) for n in range(len(self.gates)))

    async def job(self, n: int) -> int:
        self.begun.append(n)
        try:
            await self.gates[n].wait()
        except asyncio.CancelledError:
            self.cancelled.append(n)
            raise
        return n


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("ahead", [0, 1, 3])
async def test_results_come_in_order_and_only_so_many_run_ahead(ahead: int) -> None:
    jobs = Jobs(6)
    for gate in jobs.gates:
        gate.set()
    seen = []
    async for n in pipelined(jobs, ahead):
        await settle()
        seen.append(n)
        assert len(jobs.begun) == min(6, n + 1 + ahead)
    assert seen == list(range(6))


async def test_what_runs_ahead_ends_with_the_caller() -> None:
    jobs = Jobs(4)
    jobs.gates[0].set()
    results = pipelined(jobs, 2)
    assert await anext(results) == 0
    await settle()
    await results.aclose()  # type: ignore[attr-defined]
    assert jobs.begun == [0, 1, 2]
    assert jobs.cancelled == [1, 2]


async def test_a_failure_ends_the_others() -> None:
    jobs = Jobs(4)

    async def fail() -> None:
        raise ValueError("no")

    async def wait() -> None:
        await jobs.job(1)

    with pytest.raises(ValueError, match="no"):
        await spread([fail(), wait()], 2)
    assert jobs.cancelled == [1]
