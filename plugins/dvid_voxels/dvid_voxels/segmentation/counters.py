"""`Counters`: the largest labels of versions and the next new label, kept in memory and rebuilt from log records.

The payload of a record is a dict, all keys optional:

    max      the largest label that the version has now
    next     [the last label that was handed out, a ceiling or 0, a number that grows: logs of versions are read one
             after another, and all versions share this]
    taken    [a label that was handed out after that, the number then]
"""

from __future__ import annotations

from typing import Any

from dvid_core import BadRequest

LAST = 2**64 - 1

LOCK = (0, 3)
"""The lock of the counters, which all versions share."""


class Counters:
    """One per instance.  `apply` is its only writer."""

    def __init__(self) -> None:
        self.maxima: dict[int, int] = {}
        """By version: the largest label ever written or handed out in it."""
        self.next_label = 0
        """The last label handed out since an admin set where labels come from; 0 before."""
        self.ceiling = 0
        self.turn = 0
        """Which record set these two."""
        self.held: set[int] = set()
        """Labels that edits under way have taken, which no record says yet."""
        self._taken: dict[int, int] = {}

    def apply(self, version: int, number: int, payload: Any) -> None:
        """Take on a record."""
        if not isinstance(payload, dict):
            return
        if "max" in payload:
            self.maxima[version] = max(self.maxima.get(version, 0), payload["max"])
        if "next" in payload:
            *values, turn = payload["next"]
            if turn > self.turn:
                (self.next_label, self.ceiling), self.turn = values, turn
                self.next_label = max(self.next_label, self._taken.get(turn, 0))
        if "taken" in payload:
            label, turn = payload["taken"]
            self._taken[turn] = max(label, self._taken.get(turn, 0))
            if turn == self.turn:
                self.next_label = max(self.next_label, label)

    @property
    def largest(self) -> int:
        """The largest label of all versions."""
        return max(self.maxima.values(), default=0)

    @property
    def base(self) -> int:
        """The label after which the next new one comes."""
        return max(self.next_label or self.largest, max(self.held, default=0))

    def taken(self, label: int) -> dict[str, Any]:
        """The payload that takes a label, the largest of those that an edit held, while others may hold more."""
        return {"max": label, "taken": [label, self.turn]} if self.next_label else {"max": label}

    def reserve(self, count: int) -> tuple[int, dict[str, Any]]:
        """The first of `count` new labels, and the payload that takes them.  The caller holds `LOCK`.

        Raises `BadRequest`.
        """
        base = self.base
        last = base + count
        if last > LAST:
            raise BadRequest(f"{count} labels from {base + 1} on are beyond 2^64-1")
        if self.ceiling and last > self.ceiling:
            raise BadRequest(f"{count} labels from {base + 1} on are beyond the ceiling, {self.ceiling}")
        payload: dict[str, Any] = {"max": last}
        if self.next_label:
            payload["next"] = [last, self.ceiling, self.turn + 1]
        return base + 1, payload
