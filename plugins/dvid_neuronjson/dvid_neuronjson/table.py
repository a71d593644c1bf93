"""`Table`: all annotations of one version in memory, as pages in order of their ids.

A table never changes: a write makes a new one that shares all pages but one.  So readers keep what they began with, and
tables of related versions hold in common what they have in common.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from .annotation import Row
from .pages import Page


class Table:
    """Pages, and the first id of each."""

    __slots__ = ("_firsts", "pages")

    def __init__(self, pages: list[Page], firsts: list[int] | None = None) -> None:
        self.pages = pages
        self._firsts = [p.ids[0] for p in pages] if firsts is None else firsts

    def _place(self, body: int) -> int:
        return max(bisect_right(self._firsts, body) - 1, 0)

    def get(self, body: int) -> Row | None:
        """The two texts of an annotation."""
        return self.pages[self._place(body)].get(body) if self.pages else None

    def cut(self, first: int, last: int) -> Iterator[Page]:
        """Pages with the annotations first <= id <= last, none of them empty."""
        if not self.pages or first > last:
            return
        low, high = self._place(first), self._place(last)
        for at in range(low, high + 1):
            if low < at < high:
                yield self.pages[at]
            elif page := self.pages[at].cut(first, last):
                yield page

    def changed(self, rows: Mapping[int, Row | None]) -> Table:
        """The table with these annotations put, or removed (None)."""
        if not self.pages:
            return Table(Page((), (), ()).changed(dict(sorted(rows.items()))))
        by_page: dict[int, dict[int, Row | None]] = {}
        for body, row in rows.items():
            by_page.setdefault(self._place(body), {})[body] = row
        pages, firsts = self.pages.copy(), self._firsts.copy()
        for at in sorted(by_page, reverse=True):
            new = pages[at].changed(by_page[at])
            pages[at : at + 1] = new
            firsts[at : at + 1] = [p.ids[0] for p in new]
        return Table(pages, firsts)

    def shared(self, rows: Sequence[tuple[int, Row]]) -> Page:
        """A page of these rows, with what this table has alike taken from here."""
        pages = list(self.cut(rows[0][0], rows[-1][0]))
        known = {b: (t, m) for p in pages for b, t, m in zip(p.ids, p.texts, p.marks)}
        page = Page.of([(b, known[b] if known.get(b) == row else row) for b, row in rows])
        if len(pages) == 1 and (pages[0].ids, pages[0].texts, pages[0].marks) == (page.ids, page.texts, page.marks):
            return pages[0]
        return page

    def __len__(self) -> int:
        return sum(len(p) for p in self.pages)
