"""How far a labelblk followed the merges and splits of a labelvol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvid_core import View
from dvid_voxels.label_events import Followed
from dvid_voxels.segmentation.counters import Counters

if TYPE_CHECKING:
    from .labelblk import LabelBlk


class Following(Counters):
    """Kept in memory and rebuilt from log records.  Their payload has, besides what `Counters` says,

    followed   the mutation of a labelvol that was done to the voxels
    since      a mutation: what came before is not followed, because the sync was not set yet
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[int, int] = {}
        """By version the mutation that was followed last."""
        self.since = 0
        self.written: dict[int, int] = {}
        """By version the last request that wrote voxels."""

    def apply(self, version: int, number: int, payload: Any) -> None:
        super().apply(version, number, payload)
        if isinstance(payload, dict):
            self.last[version] = payload.get("followed", self.last.get(version, 0))
            self.since = max(self.since, payload.get("since", 0))


class Copied:
    """A labelblk as `CopiedVoxels`."""

    def __init__(self, instance: LabelBlk, view: View) -> None:
        self._instance, self._version = instance, view.version

    def followed(self, source: int) -> Followed | None:
        """What of a labelvol's edits the voxels hold."""
        if source not in self._instance.record.syncs:
            return None
        state = self._instance.state
        return Followed(state.last.get(self._version, 0), state.since)

    def last_written(self) -> int:
        """The mutation of the last write of voxels at this version."""
        return self._instance.state.written.get(self._version, 0)
