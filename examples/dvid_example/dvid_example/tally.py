"""The datatype."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from dvid_core import Info, Instance, LogRecord, MergeConflict, Mutation, View

from .counts import change_count, read_counts
from .events import Added
from .handlers import ROUTES
from .keys import COUNT
from .settings import TallySettings


class Tally(Instance):
    """Named counters, for anything that is counted along the versions: cells, tasks, errors.

    A tally that is synced to another one follows it: what is added there is added here too.
    """

    typename = "tally"
    type_version = "1.0"
    type_url = "https://example.org/dvid-example"
    Settings = TallySettings
    keys = (COUNT,)
    routes = ROUTES
    emits = (Added,)

    async def follow(self, m: Mutation, event: Added) -> None:
        """Add what was added to a tally that this one follows."""
        await change_count(m, event.name, event.n)

    handles: ClassVar = {Added: follow}

    async def open(self) -> None:
        self.totals: dict[int, int] = {}
        self.records = 0

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        self.records += 1
        if record.op == "add" and version in self.totals:
            self.totals[version] += record.payload
        else:
            self.totals.pop(version, None)

    async def total(self, view: View) -> int:
        """The sum of all counters: read once for each version, and kept up to date by `apply` from then on."""
        while view.version not in self.totals:
            before = self.records
            total = sum((await read_counts(view)).values())
            if self.records == before:  # nobody added while it was read
                self.totals[view.version] = total
        return self.totals[view.version]

    async def info(self, view: View) -> Info:
        try:
            total = await self.total(view)
        except MergeConflict:
            total = None
        return Info(extended=msgspec.to_builtins(self.settings), extra={"Total": total})
