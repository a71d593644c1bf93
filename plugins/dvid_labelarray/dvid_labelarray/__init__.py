"""Label volumes whose voxels hold bodies: merges and splits change voxels."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .labelarray import LabelArray

__all__ = ["LabelArray", "dvid_datatypes"]


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [LabelArray]
