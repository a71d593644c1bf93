"""Stored keys of the image datatypes."""

from __future__ import annotations

from dvid_core import ZYX, KeyClass

BLOCK = KeyClass(1, "block", ZYX)
"""Block coordinates -> a stored block, see `dvid_voxels.codecs`."""

EXTENTS = KeyClass(2, "extents")
"""The box that was written, see `dvid_voxels.extents`."""
