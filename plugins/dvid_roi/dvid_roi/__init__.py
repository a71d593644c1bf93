"""The roi datatype of DVID: versioned regions of interest as sets of blocks."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .roi import Roi


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Roi]


__all__ = ["Roi", "dvid_datatypes"]
