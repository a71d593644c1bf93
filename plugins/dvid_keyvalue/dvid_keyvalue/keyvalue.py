"""The datatype `keyvalue`."""

from __future__ import annotations

from typing import TypeVar

from dvid_core import Instance, View

from .handlers import ROUTES
from .keys import KEY
from .pairs import StoredPairs

P = TypeVar("P")


class KeyValue(Instance):
    """Arbitrary bytes under string keys, per version.

    A key is one part of the path, percent-encoded where needed ("%2F" for a slash): any text but the empty one.
    Keys are ordered by their UTF-8 bytes. A value is any bytes, of any size, and comes back as it was sent.
    """

    typename = "keyvalue"
    type_version = "0.2"
    type_url = "dvid/plugins/dvid_keyvalue"
    keys = (KEY,)
    routes = ROUTES

    def offer(self, protocol: type[P], view: View) -> P | None:
        """Its pairs, to whoever asks for a protocol that they fit."""
        offered = StoredPairs(view)
        try:
            return offered if isinstance(offered, protocol) else None
        except TypeError:  # a protocol that cannot be checked at run time is none of ours
            return None
