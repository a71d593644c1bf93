"""What the server has been doing lately: rates for /api/load, and how long its users wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from .records import rfc3339

WINDOW = 10


class Traffic:
    """Counters, their rates over the last ten seconds, and latencies per user."""

    def __init__(self) -> None:
        self.active = 0
        self.counts: dict[str, int] = dict.fromkeys(
            ("GET", "HEAD", "POST", "PUT", "DELETE", "bytes in", "bytes out"), 0
        )
        self._samples: deque[tuple[float, dict[str, int]]] = deque([(time.monotonic(), dict(self.counts))], WINDOW)
        self._users: dict[str, Latency] = {}

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await asyncio.sleep(1)
            self.sample()

    def sample(self) -> None:
        """Note the counters, about every second; a request pays for an addition only."""
        self._samples.append((time.monotonic(), dict(self.counts)))

    def rate(self, what: str) -> int:
        """The mean per second over the window."""
        since, before = self._samples[0]
        seconds = max(1.0, time.monotonic() - since)
        return round((self.counts.get(what, 0) - before.get(what, 0)) / seconds)

    def load(self) -> dict[str, int]:
        """The reply to /api/load; names are the reference's, so some speak of its internals."""
        read, written = self.rate("bytes out"), self.rate("bytes in")
        return {
            "file bytes read": 0,
            "file bytes written": 0,
            "key bytes read": 0,
            "key bytes written": 0,
            "value bytes read": read,
            "value bytes written": written,
            "GET requests": self.rate("GET") + self.rate("HEAD"),
            "PUT requests": self.rate("POST") + self.rate("PUT") + self.rate("DELETE"),
            "handlers active": min(100, self.active),
            "goroutines": self.active,
            "active CGo writes": 0,
            "pending log messages": 0,
        }

    def ping(self, user: str, seconds: float) -> None:
        """A user's request to heartbeat, load or user-latencies took this long."""
        found = self._users.get(user)
        if found is None:
            if len(self._users) >= 10_000:
                self._users.pop(next(iter(self._users)))
            found = self._users[user] = Latency()
        found.add(seconds)

    def latency(self, user: str) -> dict[str, Any]:
        """Of one user; zeros and empty strings when not seen."""
        found = self._users.get(user)
        return found.shown(user) if found else Latency().shown("")

    def latencies(self) -> dict[str, Any]:
        """Of all users."""
        return {user: found.shown(user) for user, found in self._users.items()}


class Latency:
    """The service times of one user."""

    __slots__ = ("at", "last", "longest", "shortest")

    def __init__(self) -> None:
        self.at = 0.0
        self.last = self.shortest = self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.shortest = min(self.shortest, seconds) if self.at else seconds
        self.longest = max(self.longest, seconds)
        self.at, self.last = time.time(), seconds

    def shown(self, user: str) -> dict[str, Any]:
        return {
            "User": user,
            "LastPing": rfc3339(self.at) if self.at else "",
            "LastLatency": round(self.last * 1000),
            "MinLatency": round(self.shortest * 1000),
            "MaxLatency": round(self.longest * 1000),
        }
