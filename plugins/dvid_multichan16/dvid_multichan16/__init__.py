"""The multichan16 datatype of DVID: multi-channel volumes of 16 bits, as of fluorescence microscopes."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .multichan16 import MultiChan16


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [MultiChan16]


__all__ = ["MultiChan16", "dvid_datatypes"]
