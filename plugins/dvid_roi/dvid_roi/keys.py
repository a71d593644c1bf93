"""Stored keys of roi."""

from __future__ import annotations

from dvid_core import KeyClass

SPANS = KeyClass(1, "region")
"""The whole region of a version, one value: a POST replaces all of it. See `dvid_roi.stored`."""
