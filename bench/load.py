"""Load as declared values: `Flood` of small requests, by the program wrk, and `Calls`, one after another."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from servers import Failed, Server

Request = tuple[str, str, bytes | None]
"""Method, path, body."""


@dataclass(frozen=True)
class Done:
    """What came of a load."""

    operations: float
    seconds: float
    latency: str
    """A remark for people."""


class Load(Protocol):
    """Something that keeps a server busy."""

    def run(self, server: Server, place: Any, repetition: int) -> Done:
        """Do it; `place` is what the row's preparation gave."""
        ...


@dataclass(frozen=True)
class Flood:
    """Small requests as fast as they are answered, over some connections; an operation is a request.

    In `path` {place} is what the preparation gave, {n} a random number below `numbers` with so many `digits`, or with
    `counting` a number that was not used before.
    """

    method: str
    path: str
    numbers: int = 1
    digits: int = 1
    counting: bool = False
    body_bytes: int = 0
    connections: int = 16
    seconds: int = 4

    def run(self, server: Server, place: Any, repetition: int) -> Done:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(self._script(str(place), repetition))
            script.flush()
            command = [
                "wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}s", "--latency", "-s", script.name, server.url,
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.seconds + 60)
        text = done.stdout
        if bad := re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: (?!connect 0, read 0, write 0).*", text):
            raise Failed(f"wrk: {bad[0]}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        slow = re.search(r"^\s+99%\s+(\S+)$", text, re.MULTILINE)
        if rate is None or slow is None:
            raise Failed(f"wrk: {done.stderr.strip()[:200] or text[:200]}")
        if not float(rate[1]):
            raise Failed("wrk: no request was answered")
        return Done(float(rate[1]) * self.seconds, self.seconds, f"p99 {slow[1]}")

    def _script(self, place: str, repetition: int) -> str:
        if self.counting:
            number = f'string.format("{repetition}-%0{self.digits}d", n)'
        else:
            number = f'string.format("%0{self.digits}d", math.random(0, {self.numbers - 1}))'
        before, _, behind = self.path.replace("{place}", place).partition("{n}")
        path = f'"{before}"..{number}.."{behind}"' if "{n}" in self.path else f'"{before}"'
        body = f'string.rep("x", {self.body_bytes})' if self.body_bytes else "nil"
        return (
            f"n = 0\nbody = {body}\n"
            f'request = function() n = n + 1 return wrk.format("{self.method}", {path}, nil, body) end\n'
        )


@dataclass(frozen=True)
class Calls:
    """Larger requests by some threads, each with one connection; an operation is a request."""

    requests: Callable[[Any, int], Sequence[Request]]
    """The requests, of what the preparation gave and the number of the repetition."""
    threads: int = 1

    def run(self, server: Server, place: Any, repetition: int) -> Done:
        requests = self.requests(place, repetition)

        def one(request: Request) -> float:
            begin = time.perf_counter()
            server.call(*request)
            return time.perf_counter() - begin

        begin = time.perf_counter()
        if self.threads == 1:
            each = [one(r) for r in requests]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                each = list(pool.map(one, requests))
        seconds = time.perf_counter() - begin
        return Done(len(each), seconds, f"median {statistics.median(each) * 1e3:.2f} ms")


@dataclass(frozen=True)
class Row:
    """One line of the benchmark."""

    name: str
    about: str
    prepare: Callable[[Server], Any]
    """Fills the server; rows with the same function share what it made."""
    load: Load


def missing_programs() -> str:
    """What to install before floods can run; empty when nothing is missing."""
    if shutil.which("wrk"):
        return ""
    return (
        "the program wrk, which makes the small requests, is not on the PATH: apt install wrk, brew install wrk, "
        "or leave their rows out with --only"
    )
