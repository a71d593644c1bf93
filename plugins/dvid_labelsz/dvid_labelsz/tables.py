"""The tables of an instance: made when ranks of a version are first asked for, brought up to date when asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dvid_core import Disputed, View

from .counts import Counts, Labels, labels_of, read_counts, unpacked
from .keys import COUNTS
from .ranking import Table, empty

if TYPE_CHECKING:
    from .labelsz import LabelSz

HELD = 20_000_000
"""Labels in all tables of an instance together, 24 bytes each and 8 more for each index type that was asked for; the
table that was used last is held however large it is."""

TABLES = 16

T = TypeVar("T")

QUICK = 2000
"""Labels that are sorted in less time than a hop to a thread takes."""


class Held:
    """The table of one version, and what changed since it was made."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.table: Table | None = None
        self.touched: list[Labels] = []
        """Labels whose counts may have changed."""
        self.taken: list[Labels] = []
        """Those that are being looked up."""
        self.lock = asyncio.Lock()


class Tables:
    """All tables of an instance."""

    def __init__(self, instance: LabelSz) -> None:
        self._instance = instance
        self._held: dict[int, Held] = {}

    def touch(self, version: int, labels: Labels | None) -> None:
        """Counts of these labels, or of any, changed at a version."""
        for held in list(self._held.values()):
            if self._sees(held.version, version):
                if labels is None:
                    del self._held[held.version]
                else:
                    held.touched.append(labels)

    def _sees(self, version: int, other: int) -> bool:
        return version == other or (self._instance.versioned and self._instance.repo.dag.is_ancestor(other, version))

    async def table(self, view: View, kind: str) -> Table:
        """The table as of now, with the ranks of this index type."""
        while True:
            held = self._held.pop(view.version, None) or Held(view.version)
            self._held[view.version] = held  # the one that was used last comes last
            async with held.lock:
                # What is touched from here on is seen by the next call.
                held.taken, held.touched = held.touched, []
                try:
                    found = await self._updated(view, held.table, held.taken)
                    if not found.has(kind):
                        await _run(view, len(found), found.ranks, kind)
                except BaseException:
                    held.touched += held.taken
                    raise
                finally:
                    held.taken = []
                held.table = found
            if self._held.get(view.version) is held:
                self._make_room()
                return found

    async def _updated(self, view: View, table: Table | None, touched: list[Labels]) -> Table:
        if table is None:
            near = self._nearest(view.version)
            if near is None:
                return await read_table(view)
            table, own = near.table, [*near.taken, *near.touched]
            logged = await self._logged(near.version, view.version)
            if table is None or logged is None:
                return await read_table(view)
            touched = [*own, *logged, *touched]
        if not touched:
            return table
        labels = await _run(view, sum(map(len, touched)), _all_labels, touched)
        return await _run(view, len(table), table.updated, labels, await read_counts(view, labels))

    def _nearest(self, version: int) -> Held | None:
        """The newest table of an ancestor."""
        near = [h for h in self._held.values() if h.table is not None and self._sees(version, h.version)]
        return max(near, key=lambda h: h.version, default=None)

    async def _logged(self, old: int, new: int) -> list[Labels] | None:
        """The labels that changed at the versions that `new` sees and `old` does not; None when that can be all."""
        out = []
        for version in self._instance.logged_versions():
            if self._sees(new, version) and not self._sees(old, version):
                async for _, record in self._instance.records(version):
                    if record.payload == b"":
                        return None
                    if record.payload is not None:
                        out.append(np.frombuffer(record.payload, np.uint64))
        return out

    def _make_room(self) -> None:
        sizes = {v: len(h.table) for v, h in self._held.items() if h.table is not None}
        for version in list(sizes)[:-1]:
            if sum(sizes.values()) <= HELD and len(sizes) <= TABLES:
                return
            del sizes[version]
            del self._held[version]


async def _run(view: View, size: int, kernel: Callable[..., T], *args: Any) -> T:
    return kernel(*args) if size <= QUICK else await view.run(kernel, *args)


def _all_labels(parts: list[Labels]) -> Labels:
    return np.unique(np.concatenate(parts))


async def read_table(view: View) -> Table:
    """The table of all stored rows.  Raises `MergeConflict`."""
    pages = [page async for page in _row_pages(view)]
    return Table(np.concatenate([p[0] for p in pages]), np.concatenate([p[1] for p in pages])) if pages else empty()


async def _row_pages(view: View) -> AsyncIterator[tuple[Labels, Counts]]:
    async for page in view.scan(*COUNTS.all()):
        rows = []
        for tkey, found in page:
            if isinstance(found, Disputed):
                raise view.conflict(tkey, found.versions)
            rows.append(found.inline)
        yield labels_of([tkey for tkey, _ in page]), unpacked(rows)
        await asyncio.sleep(0)
