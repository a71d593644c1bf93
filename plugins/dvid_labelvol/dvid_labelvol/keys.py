"""Stored keys of labelvol, besides those of all label volumes."""

from __future__ import annotations

from dvid_core import U64, KeyClass
from dvid_voxels.segmentation import keys

RUNS = KeyClass(8, "runs of a split", U64)
"""Mutation id -> the voxels that a split was about, for those that follow: see `relabel_handlers.pack_runs`."""

CLASSES = (*keys.CLASSES, RUNS)
