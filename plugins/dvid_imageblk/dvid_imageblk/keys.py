"""Stored keys of the image datatypes."""

from __future__ import annotations

from dvid_core import TEXT, ZYX, KeyClass

BLOCK = KeyClass(1, "block", ZYX)
"""Block coordinates -> a stored block, see `dvid_voxels.codecs`."""

EXTENTS = KeyClass(2, "extents")
"""The box that was written, see `dvid_voxels.extents`."""

LOAD = KeyClass(3, "load", TEXT)
"""Id of a load by the command `dvid load` -> how far it is, see `dvid_voxels.load.progress`."""
