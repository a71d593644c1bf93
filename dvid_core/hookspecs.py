"""The hooks by which distributions extend the server; all are called once, at the start.

A distribution names its plug-in module in the entry-point group "dvid" and marks its functions with `hookimpl`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .instance import Instance
from .mutlog import LogSink
from .storage.base import Store

GROUP = "dvid"

hookspec = pluggy.HookspecMarker("dvid")
hookimpl = pluggy.HookimplMarker("dvid")


@hookspec
def dvid_datatypes() -> Sequence[type[Instance]]:
    """The datatypes of this distribution."""
    raise NotImplementedError


@hookspec
def dvid_stores() -> Sequence[type[Store]]:
    """The storage engines of this distribution."""
    raise NotImplementedError


@hookspec
def dvid_log_sinks() -> Sequence[type[LogSink]]:
    """Where mutation records can also go: files, queues."""
    raise NotImplementedError
