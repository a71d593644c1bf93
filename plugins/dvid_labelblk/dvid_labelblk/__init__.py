"""Plain label volumes: one 64-bit label a voxel, in versioned blocks."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .labelblk import LabelBlk

__all__ = ["LabelBlk", "dvid_datatypes"]


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [LabelBlk]
