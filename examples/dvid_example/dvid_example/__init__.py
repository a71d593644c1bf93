"""An example of a datatype for DVID: named counters."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .tally import Tally


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Tally]


__all__ = ["Tally", "dvid_datatypes"]
