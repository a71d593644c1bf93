"""The imagetile datatype of DVID: precomputed 2-d tiles of an image volume at several scales."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .imagetile import ImageTile


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [ImageTile]


__all__ = ["ImageTile", "dvid_datatypes"]
