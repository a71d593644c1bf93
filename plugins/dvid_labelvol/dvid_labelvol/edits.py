"""What a labelvol did and what it took in, in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from dvid_voxels.label_events import Followed
from dvid_voxels.segmentation.counters import Counters


class Edits(Counters):
    """Rebuilt from log records, whose payload has, besides what `Counters` says,

    rewrote   the mutation of a merge or split
    taken_in  the mutation of the labelblk whose voxels were taken in
    since     a mutation: what came before is not taken in, because the sync was not set yet
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, list[tuple[int, int]]] = {}
        """By version: mutations and the numbers of their records, in order."""
        self._copied: dict[int, int] = {}
        """By version the last mutation that was taken in: all before it in the log were."""
        self._since = 0
        self._waiting: dict[tuple[int, int], asyncio.Event] = {}

    def apply(self, version: int, number: int, payload: Any) -> None:
        super().apply(version, number, payload)
        if not isinstance(payload, dict):
            return
        self._since = max(self._since, payload.get("since", 0))
        if "rewrote" in payload:
            self._made.setdefault(version, []).append((payload["rewrote"], number))
        if "taken_in" in payload:
            self._copied[version] = payload["taken_in"]
            waiting = self._waiting.pop((version, payload["taken_in"]), None)
            if waiting is not None:
                waiting.set()

    def behind(self, version: int, followed: Followed) -> list[int]:
        """The numbers of the records of edits that a copy has still to follow, in order; those before are forgotten."""
        made = self._made.get(version, [])
        places = [n for n, (mutation, _) in enumerate(made) if mutation == followed.last]
        if places:
            del made[: places[-1]]
            return [number for _, number in made[1:]]
        return [number for mutation, number in made if mutation > followed.since]

    async def taken_in(self, version: int, mutation: int) -> None:
        """Return when what a mutation wrote, the last one of now, was taken in."""
        if mutation > self._since and mutation != self._copied.get(version, 0):
            await self._waiting.setdefault((version, mutation), asyncio.Event()).wait()
