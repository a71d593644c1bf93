"""A plug-in for server processes: `Echo` stops before an event when the file "gate" says so.

The file holds a number of events that are let through; at the next one the FIFO "held" is opened, so that whoever
opens it too knows, and the process goes no further.  Without the file nothing is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from dvid_core import Instance, hookimpl
from dvid_core.testing.cells import Cells, Changed, Echo


def allowed() -> int | None:
    """How many events are let through, None when all are."""
    gate = Path("gate")
    return int(gate.read_text()) if gate.exists() else None


class GatedEcho(Echo):
    """An `Echo` behind the gate."""

    async def open(self) -> None:
        await super().open()
        self.let_through = 0

    async def hold(self, event: Changed) -> None:
        if self.let_through == allowed():
            await asyncio.to_thread(Path("held").write_bytes, b"")
            await asyncio.Event().wait()
        self.let_through += 1


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Cells, GatedEcho]
