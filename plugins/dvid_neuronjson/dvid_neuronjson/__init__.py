"""The neuronjson datatype of DVID: a versioned, queryable table of neurons."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Instance, hookimpl

from .neuronjson import NeuronJSON


@hookimpl
def dvid_datatypes() -> Sequence[type[Instance]]:
    return [NeuronJSON]


__all__ = ["NeuronJSON", "dvid_datatypes"]
