"""What a tally tells those that follow it."""

from __future__ import annotations

from dvid_core import Event


class Added(Event, frozen=True):
    """A counter was changed by `n`."""

    name: str
    n: int
