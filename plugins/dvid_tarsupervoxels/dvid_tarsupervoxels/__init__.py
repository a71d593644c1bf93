"""The tarsupervoxels datatype of DVID: a file for each supervoxel, served as a tar for each body."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .tarsupervoxels import TarSupervoxels


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [TarSupervoxels]


__all__ = ["TarSupervoxels", "dvid_datatypes"]
