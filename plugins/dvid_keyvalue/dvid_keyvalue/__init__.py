"""The keyvalue datatype of DVID: versioned bytes under string keys."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .keyvalue import KeyValue


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [KeyValue]


__all__ = ["KeyValue", "dvid_datatypes"]
