"""Keyed locks: who may hold what together, in which order waiters are served, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core.locks import Locks


async def turns(count: int = 5) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


class Holder:
    """A task that holds locks until it is told to let go."""

    def __init__(self, locks: Locks, *, exclusive: Iterable[Any] = (), shared: Iterable[Any] = ()) -> None:
        self.has = False
        self._done = asyncio.Event()
        self._wanted = locks.hold(exclusive=exclusive, shared=shared)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._wanted:
            self.has = True
            await self._done.wait()

    async def let_go(self) -> None:
        self._done.set()
        await self.task
        await turns()

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await turns()


@pytest.fixture
def locks() -> Locks:
    return Locks()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("shared", "shared", True),
        ("shared", "exclusive", False),
        ("exclusive", "shared", False),
        ("exclusive", "exclusive", False),
    ],
)
async def test_only_readers_hold_a_key_together(locks: Locks, first: str, second: str, together: bool) -> None:
    a, b = Holder(locks, **{first: "k"}), Holder(locks, **{second: "k"})
    other = Holder(locks, exclusive=["other"])
    await turns()
    assert (a.has, b.has, other.has) == (True, together, True)
    await a.let_go()
    assert b.has
    await b.let_go()
    await other.let_go()
    assert not locks._table


async def test_waiters_are_served_in_the_order_they_came_and_readers_do_not_pass_a_writer(locks: Locks) -> None:
    reader = Holder(locks, shared=["k"])
    waiting = []
    for kind in ("exclusive", "shared", "shared", "exclusive", "shared"):
        await turns()
        waiting.append(Holder(locks, **{kind: ["k"]}))
    await turns()
    assert not any(w.has for w in waiting)
    await reader.let_go()
    assert [w.has for w in waiting] == [True, False, False, False, False]
    await waiting[0].let_go()
    assert [w.has for w in waiting[1:]] == [True, True, False, False]
    await waiting[1].let_go()
    assert not waiting[3].has
    await waiting[2].let_go()
    assert [w.has for w in waiting[3:]] == [True, False]
    await waiting[3].let_go()
    await waiting[4].let_go()
    assert not locks._table


async def test_key_asked_for_both_ways_is_held_exclusively(locks: Locks) -> None:
    both = Holder(locks, exclusive=["k"], shared=["k"])
    await turns()
    reader = Holder(locks, shared=["k"])
    await turns()
    assert both.has and not reader.has
    await both.let_go()
    await reader.let_go()


async def test_holders_of_several_keys_do_not_wait_for_each_other_in_a_circle(locks: Locks) -> None:
    count = 0

    async def work(keys: list[int]) -> None:
        nonlocal count
        async with locks.hold(exclusive=keys):
            await asyncio.sleep(0)
            count += 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(work([i % 5, (i * 3) % 5, (i * 7) % 5]) for i in range(200)))
    assert count == 200
    assert not locks._table


async def test_cancelled_writer_lets_the_readers_behind_it_pass(locks: Locks) -> None:
    reader = Holder(locks, shared=["k"])
    await turns()
    writer, behind = Holder(locks, exclusive=["k"]), Holder(locks, shared=["k"])
    await turns()
    assert not behind.has
    await writer.cancel()
    assert behind.has and not writer.has
    await behind.let_go()
    await reader.let_go()
    assert not locks._table


async def test_waiter_that_is_cancelled_in_the_moment_of_its_turn_hands_the_key_on(locks: Locks) -> None:
    async with locks.hold(exclusive=["k"]):
        second, third = Holder(locks, exclusive=["k"]), Holder(locks, exclusive=["k"])
        await turns()
    second.task.cancel()  # the key was handed to it just now, and it did not run since
    await turns()
    assert not second.has and third.has
    await third.let_go()
    assert not locks._table


async def test_cancelled_wait_for_a_second_key_gives_the_first_one_back(locks: Locks) -> None:
    holder = Holder(locks, exclusive=["b"])
    await turns()
    both = Holder(locks, exclusive=["a", "b"])
    await turns()
    await both.cancel()
    third = Holder(locks, exclusive=["a"])
    await turns()
    assert third.has
    await third.let_go()
    await holder.let_go()
    assert not locks._table


async def test_error_inside_gives_all_keys_back(locks: Locks) -> None:
    with pytest.raises(KeyError):
        async with locks.hold(exclusive=["a", "b"], shared=["c"]):
            raise KeyError
    assert not locks._table


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "let go", "cancel"]),
        st.lists(st.integers(0, 2), max_size=3),
        st.lists(st.integers(0, 2), max_size=3),
        st.integers(0, 30),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_happens_no_key_is_held_wrongly_stays_taken_or_is_forgotten(
    steps: list[tuple[str, list[int], list[int], int]],
) -> None:
    async def play() -> None:
        locks, holders = Locks(), list[tuple[Holder, set[int], set[int]]]()
        for step, exclusive, shared, which in steps:
            if step == "ask":
                holders.append(
                    (Holder(locks, exclusive=exclusive, shared=shared), set(exclusive), {*shared} - {*exclusive})
                )
            elif left := [h for h, _, _ in holders if not h.task.done()]:
                holder = left[which % len(left)]
                if step == "cancel" or not holder.has:
                    await holder.cancel()
                else:
                    await holder.let_go()
            if which % 3:  # sometimes several steps come before anybody can react
                await turns()
            now = [(alone, shared) for holder, alone, shared in holders if holder.has and not holder.task.done()]
            for key in range(3):
                writers = sum(key in alone for alone, _ in now)
                assert writers == 0 or (writers == 1 and not any(key in shared for _, shared in now))
        await turns()
        while left := [h for h, _, _ in holders if not h.task.done()]:
            assert any(h.has for h in left), "all wait for each other"
            for holder in left:
                if holder.has:
                    await holder.let_go()
        assert not locks._table

    asyncio.run(play())
