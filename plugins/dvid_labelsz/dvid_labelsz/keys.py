"""Stored keys of labelsz."""

from __future__ import annotations

from dvid_core import U64, KeyClass

COUNTS = KeyClass(1, "counts of a label", U64)
"""A label -> its elements of each kind, u32 LE in the order of `counts.COLUMNS`; none when all are 0."""

RELOAD = KeyClass(2, "reload under way")
"""At the version that is reloaded, while it is: the version, in digits.  Events are queued meanwhile."""

QUEUED = KeyClass(3, "event to be handled after a reload", U64)
"""A number drawn at random -> changes as `ElementsFiled` has them, inside the ROI."""

REGION = KeyClass(4, "region of interest")
"""The size of its blocks, three i32 LE, and its spans, four i32 LE each: read at the first need and kept."""

CLASSES = (COUNTS, RELOAD, QUEUED, REGION)
