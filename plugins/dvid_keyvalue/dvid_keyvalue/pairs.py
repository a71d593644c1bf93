"""An instance as pairs of key and value, for datatypes that take them in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from dvid_core import Disputed, View

from .keys import KEY, keys_of


class StoredPairs:
    """All pairs as one version has them; what a reader of key-values asks of a peer."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def pairs(self) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Pages of (key, value) in order of the keys.  Raises `MergeConflict` at a disputed one."""
        view = self._view
        async for page in view.scan(*KEY.all()):
            out = []
            for key, (tkey, value) in zip(keys_of([t for t, _ in page]), page):
                if isinstance(value, Disputed):
                    raise view.conflict(tkey, value.versions)
                out.append((key, await value.read()))
            yield out
