"""Events: frozen values that say what changed in an instance, for the instances that listen to it.

An event is stored in the log record of the edit that caused it.  It says what may have changed (keys, labels,
deltas), never old and new blocks: a handler recomputes from the present state, so handling it again is harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Union

import msgspec

log = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """Base of all events; a subclass is tagged with its class name, which must stay as it is once stored."""


def pack_events(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events as plain data for a log record."""
    return [msgspec.to_builtins(e, builtin_types=(bytes,)) for e in events]


def unpack_events(raw: Iterable[dict[str, Any]], kinds: tuple[type[Event], ...]) -> list[Event]:
    """Those of the stored events that are of `kinds`."""
    names = {k.__struct_config__.tag for k in kinds}
    wanted = [r for r in raw if r.get("event") in names]
    union: Any = Union[kinds]  # noqa: UP007 - made of a tuple
    return msgspec.convert(wanted, list[union]) if wanted else []
