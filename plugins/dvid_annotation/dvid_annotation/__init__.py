"""The annotation datatype of DVID: versioned points with kinds, tags and relationships that follow labels."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .annotation import Annotation


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [Annotation]


__all__ = ["Annotation", "dvid_datatypes"]
