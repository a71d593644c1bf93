"""Stored keys of a labelmap, besides those of `dvid_voxels.segmentation.keys`."""

from __future__ import annotations

from dvid_core import TEXT, U64, KeyClass
from dvid_voxels.segmentation import keys

POSTED = KeyClass(5, "posted mapping", U64)
"""Mutation id -> a mapping that is too long for its log record: supervoxels, then bodies, u64 LE each."""

SNAPSHOT = KeyClass(6, "snapshot of the state in memory")
"""What `open` begins with, see `dvid_labelmap.snapshot`."""

EDIT = KeyClass(8, "edit of bodies", U64)
"""Mutation id -> what the edit did, see `edits.journal`."""

BEFORE = KeyClass(9, "body before an edit", U64, U64)
"""Body and mutation id -> the head of its index just before that edit; empty when there was none."""

FILING = KeyClass(10, "indices that are being posted", U64)
"""Which owners of segments belong to no index yet, see `filing`."""

CONVERSION = KeyClass(15, "conversion of another instance", TEXT)
"""Data UUID of the source -> how far it is, see `convert_record`."""

CLASSES = (*keys.CLASSES, CONVERSION, POSTED, SNAPSHOT, EDIT, BEFORE, FILING)
