"""Settings of an annotation."""

from __future__ import annotations

from dvid_core import Settings


class AnnotationSettings(Settings, frozen=True):
    """There are none of its own."""
