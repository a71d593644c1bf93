"""The labelsz datatype of DVID: labels ranked by the annotation elements on them."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .labelsz import LabelSz


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [LabelSz]


__all__ = ["LabelSz", "dvid_datatypes"]
