"""Bodies of a plain label volume: where each is, and their merges and splits."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .labelvol import LabelVol

__all__ = ["LabelVol", "dvid_datatypes"]


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [LabelVol]
