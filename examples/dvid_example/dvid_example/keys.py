"""Stored keys of a tally."""

from __future__ import annotations

from dvid_core import TEXT, KeyClass

COUNT = KeyClass(1, "count", TEXT)
"""The name of a counter -> its count, in decimal digits."""
