"""`assert_releases_gil`: proof that a kernel lets other Python threads run while it works."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import ParamSpec

P = ParamSpec("P")

SWITCH_SECONDS = 10.0
"""While this is the switch interval, a thread gets the GIL only when its holder gives it up of its own accord."""
BUSY_SECONDS = 0.1
"""So long the kernel is run, again and again if it is shorter."""
BEAT_SECONDS = 0.0002
STALL_SECONDS = 0.003
"""Longer pauses between two beats count as time in which the other thread could not run.  Where others keep all cores
busy, some pauses are longer than that by themselves; several tries make up for it."""
ENOUGH = 0.5
TRIES = 10


def gil_freedom(fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """The part (0 to 1) of the time that `fn(*args, **kwargs)` takes in which another Python thread made progress.

    `fn` runs in a thread, repeatedly until a tenth of a second is over, while this thread wakes every 0.2 ms.
    Python's own switching is put off meanwhile, so that a loop in Python, which is made to share, does not pass.
    """
    began = ended = 0.0
    failure: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        nonlocal began, ended
        try:
            began = time.perf_counter()
            while time.perf_counter() - began < BUSY_SECONDS:
                fn(*args, **kwargs)
        except BaseException as err:
            failure.append(err)
        finally:
            ended = time.perf_counter()
            done.set()

    thread = threading.Thread(target=work, name="kernel under test")
    beats: list[float] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        thread.start()
        while not done.is_set():
            beats.append(time.perf_counter())
            time.sleep(BEAT_SECONDS)
    finally:
        sys.setswitchinterval(before)
        thread.join()
    if failure:
        raise failure[0]
    moments = [began, *(b for b in beats if began < b < ended), ended]
    free = sum(b - a for a, b in pairwise(moments) if b - a <= STALL_SECONDS)
    return free / (ended - began)


def assert_releases_gil(fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Fail unless another Python thread makes progress for at least half of the time that `fn` takes.

    A busy machine can only hide progress, never feign it: so of several tries one that shows it is proof.
    """
    shares = []
    for _ in range(TRIES):
        shares.append(gil_freedom(fn, *args, **kwargs))
        if shares[-1] >= ENOUGH:
            return
    name = getattr(fn, "__qualname__", repr(fn))
    raise AssertionError(
        f"{name} holds the GIL: other threads ran in {max(shares):.0%} of its time at best, not in {ENOUGH:.0%}"
    )
