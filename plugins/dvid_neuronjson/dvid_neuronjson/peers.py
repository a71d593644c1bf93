"""What neuronjson asks of instances of other types."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class KeyValuePairs(Protocol):
    """Keys and values of an instance, as they are seen from one version."""

    def pairs(self) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Pages of (key, value), in order of the keys."""
        ...
