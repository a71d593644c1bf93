"""Segmentations: versioned 64-bit labels of voxels, and the bodies that they make up."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .labelmap import LabelMap

__all__ = ["LabelMap", "dvid_datatypes"]


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [LabelMap]
