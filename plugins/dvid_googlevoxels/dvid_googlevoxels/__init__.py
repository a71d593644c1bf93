"""The googlevoxels datatype of DVID: tiles and voxels of a volume that a BrainMaps service holds."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .googlevoxels import GoogleVoxels


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [GoogleVoxels]


__all__ = ["GoogleVoxels", "dvid_datatypes"]
