"""The state in memory: a `Table` for each head, that is each version without a successor on its branch.

The head of the main branch is read from the store when the instance is opened, another one when it is first asked for:
a repo may have hundreds of branches that nobody looks at.  From then on a table follows the log, through `apply` alone.
A new version begins with the very table of its parent.  Other versions are read from the store each time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Container, Iterable

from dvid_core import Disputed, Instance, LogRecord, Value, View

from .annotation import Row, row_of
from .changes import UNTOLD, changed, unpack
from .keys import ANNOTATION, body_of
from .pace import Pace
from .pages import FULL, Page
from .table import Table
from .values import encode

AT_ONCE = 32
"""Changes that are made right when they are committed (20 us each); more of them are made in turns, before the next
read."""

TOGETHER = 512
"""Changes that are put into a table at a time."""

KEPT = 1
"""Tables of versions that ceased to be heads and are kept: the last committed one is read much, and shares most
pages."""

COLUMNS = 16
"""Fields that keep their columns: 200,000 different texts of 64 characters weigh about 35 MB as one."""


class Head:
    """One head: its table, and the changes that are still to be made in it."""

    __slots__ = ("backlog", "lock", "stale", "table")

    def __init__(self, table: Table | None = None) -> None:
        self.table = table
        self.backlog: list[bytes] = []
        self.lock = asyncio.Lock()
        """Held while the table is read from the store or catches up."""
        self.stale = False
        """Something was written that the log of this version does not say, while the table was read."""

    def doubt(self) -> None:
        """The store has something that the log of this version does not say: read it again."""
        self.table, self.backlog, self.stale = None, [], True


class Heads:
    """The heads of one instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._heads: dict[int, Head] = {}
        self._before = instance.written(ANNOTATION.number)
        """Versions with annotations whose log may not tell all of them."""
        self._columns: OrderedDict[str, None] = OrderedDict()

    def is_head(self, version: int) -> bool:
        """Whether no other version continues the branch of this one."""
        dag = self._instance.repo.dag
        if not self._instance.versioned:
            return True
        branch = dag.nodes[version].branch
        return not any(dag.nodes[c].branch == branch for c in dag.children(version))

    # -- reading

    def peek(self, version: int) -> Table | None:
        """The table of a version when it is in memory and up to date."""
        head = self._heads.get(version)
        return None if head is None or head.backlog else head.table

    async def table(self, view: View) -> Table | None:
        """The table of a head, read from the store if need be; None for other versions."""
        if (found := self.peek(view.version)) is not None:
            return found
        head = self._heads.get(view.version)
        if head is None:
            if not self.is_head(view.version):
                return None
            head = self._begin(view.version, not self._instance.has_written(ANNOTATION.number, view.version))
        return await self._catch_up(head, view)

    async def settle(self, version: int) -> None:
        """Make what was committed at this version, if it is in memory."""
        head = self._heads.get(version)
        if head is not None and head.table is not None and head.backlog:
            await self._catch_up(head, None)

    def _begin(self, version: int, fresh: bool) -> Head:
        """A head in memory; `fresh`: nothing was written since its parent, whose table it begins with."""
        parent = self._parent(version)
        found = self._heads[version] = Head(self.peek(parent) if fresh and parent is not None else None)
        for old in [v for v in self._heads if not self.is_head(v)][:-KEPT]:
            del self._heads[old]
        return found

    def _parent(self, version: int) -> int | None:
        node = self._instance.repo.dag.nodes.get(version) if self._instance.versioned else None
        return node.parents[0] if node is not None and len(node.parents) == 1 else None

    async def _catch_up(self, head: Head, view: View | None) -> Table | None:
        async with head.lock:
            pace = Pace()
            while head.table is None or head.backlog:
                if head.table is None:
                    if view is None:
                        return None
                    head.stale = False
                    table = await self._read(view)
                    if not head.stale:
                        head.table = table
                else:
                    await self._make_some(head, pace)
            return head.table

    async def _read(self, view: View) -> Table:
        like = max((h.table for h in self._heads.values() if h.table is not None), key=len, default=Table([]))
        known: dict[bytes, bytes] = {}
        pages: list[Page] = []
        rows: list[tuple[int, Row]] = []
        async for found in view.scan(*ANNOTATION.all()):
            for tkey, value in found:
                text, marks = await row_found(value)
                rows.append((body_of(tkey), (text, known.setdefault(marks, marks))))
            while len(rows) >= FULL:
                pages.append(like.shared(rows[:FULL]))
                del rows[:FULL]
        if rows:
            pages.append(like.shared(rows))
        return Table(pages)

    # -- writing

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        """Bring memory up to date with a record of the log."""
        if self._instance.versioned:
            self._doubt_descendants(version)
        head = self._heads.get(version)
        if head is None:
            if number > 1 or version in self._before or not self.is_head(version):
                return
            head = self._begin(version, True)
        if record.op == "resolve" or record.payload == UNTOLD:
            # The core's own edit says which keys changed, not what they became.
            head.doubt()
        elif record.payload:
            head.backlog += record.payload
            if head.table is not None and len(head.backlog) <= AT_ONCE:
                rows: dict[int, Row | None] = {}
                for data in head.backlog:
                    _make(head.table, rows, data)
                head.table, head.backlog = head.table.changed(rows), []

    def _doubt_descendants(self, version: int) -> None:
        """An admin may write to a version that others descend from, which then see something else."""
        dag = self._instance.repo.dag
        if dag.children(version):
            for other, head in self._heads.items():
                if other != version and dag.is_ancestor(version, other):
                    head.doubt()

    async def _make_some(self, head: Head, pace: Pace) -> None:
        """Make the changes that came first, in turns; the lock of the head is held."""
        table, some = head.table, head.backlog[:TOGETHER]
        assert table is not None
        rows: dict[int, Row | None] = {}
        for data in some:
            _make(table, rows, data)
            await pace.step()
        if head.table is table:
            del head.backlog[: len(some)]
            head.table = table.changed(rows)

    # -- columns

    def use(self, fields: Iterable[str]) -> Container[str]:
        """A query looks at these fields: returns which fields keep their columns from now on.

        Fields that were not looked at for long lose theirs.
        """
        for field in fields:
            self._columns[field] = None
            self._columns.move_to_end(field)
        while len(self._columns) > COLUMNS:
            field, _ = self._columns.popitem(last=False)
            for head in self._heads.values():
                for page in head.table.pages if head.table is not None else ():
                    page.forget(field)
        return self._columns


def _make(table: Table, rows: dict[int, Row | None], data: bytes) -> None:
    """Make a change in `rows`, which are to be put into the table."""
    change = unpack(data)
    rows[change.body] = changed(rows[change.body] if change.body in rows else table.get(change.body), change)


async def row_found(found: Value | Disputed) -> Row:
    """The two texts of what a scan found; for a dispute, none and its versions."""
    if isinstance(found, Disputed):
        return b"", encode(found.versions)
    return row_of(found.inline if found.inline is not None else await found.read())
