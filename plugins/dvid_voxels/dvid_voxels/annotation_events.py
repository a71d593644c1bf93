"""What annotations tell those that follow them: which elements joined and which left the list of a label.

Unlike the events of label types these are changes, not hints: a follower handles each exactly once, in order, and may
add them up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dvid_core import Event

KINDS = ("Unknown", "PostSyn", "PreSyn", "Gap", "Note")
"""Kinds of elements; events carry their places in here."""

FILED = np.dtype([("label", "<u8"), ("position", "<i4", (3,)), ("kind", "u1"), ("change", "i1")])
"""One element that joined (change 1) or left (change -1) the list of a label; position z, y, x; never label 0."""


class ElementsFiled(Event, frozen=True):
    """Elements joined or left lists of labels."""

    changes: bytes
    """An array of `FILED`."""


def pack_changes(changes: NDArray[Any]) -> bytes:
    """Changes as the event carries them."""
    return np.ascontiguousarray(changes, FILED).tobytes()


def unpack_changes(data: bytes) -> NDArray[Any]:
    """Changes from the event."""
    return np.frombuffer(data, FILED)


class FiledElements(Protocol):
    """The elements of an annotation at one version: `await view.peer(name, FiledElements)`."""

    def pages(self) -> AsyncIterator[NDArray[Any]]:
        """All elements on labels, as arrays of `FILED` with change 1 of some ten thousand; of one moment.

        It agrees with the sum of the events that were emitted up to the moment it starts.
        """
        ...
