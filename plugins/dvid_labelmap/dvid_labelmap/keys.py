"""Stored keys of a labelmap, besides those of `dvid_voxels.segmentation.keys`."""

from __future__ import annotations

from dvid_core import U64, KeyClass
from dvid_voxels.segmentation import keys

POSTED = KeyClass(5, "posted mapping", U64)
"""Mutation id -> a mapping that is too long for its log record: supervoxels, then bodies, u64 LE each."""

SNAPSHOT = KeyClass(6, "snapshot of the state in memory")
"""What `open` begins with, see `dvid_labelmap.snapshot`."""

CLASSES = (*keys.CLASSES, POSTED, SNAPSHOT)
