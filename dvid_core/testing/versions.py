"""A plain model of what versions see, in the words of the contract, slow and plain on purpose; and the check that a
`View` of `Cells` sees it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pytest

from ..errors import MergeConflict
from ..view import Disputed, Found, View
from .cells import CELL

Seen: TypeAlias = bytes | frozenset[int] | None
"""What a version sees of a key: a value, the versions that dispute it, or nothing."""


class Versions:
    """Versions with their parents, and what each of them wrote (None: a deletion)."""

    def __init__(self) -> None:
        self.parents: dict[int, tuple[int, ...]] = {}
        self.wrote: dict[int, dict[str, bytes | None]] = {}
        self.locked: set[int] = set()

    @property
    def open(self) -> set[int]:
        return self.parents.keys() - self.locked

    def add(self, version: int, parents: tuple[int, ...], locked: bool = False) -> None:
        self.parents[version], self.wrote[version] = parents, {}
        if locked:
            self.locked.add(version)

    def lineage(self, version: int) -> set[int]:
        """The version and all its ancestors."""
        out: set[int] = set()
        todo = [version]
        while todo:
            at = todo.pop()
            if at not in out:
                out.add(at)
                todo += self.parents[at]
        return out

    def found(self, versions: Sequence[int], key: str) -> set[int]:
        """Look along every way back from `versions` for the first write of the key; a write that is an ancestor of
        another one found does not count."""
        met: set[int] = set()
        passed: set[int] = set()
        todo = list(versions)
        while todo:
            at = todo.pop()
            if at in passed:
                continue
            passed.add(at)
            if key in self.wrote[at]:
                met.add(at)
            else:
                todo += self.parents[at]
        return {w for w in met if not any(o != w and w in self.lineage(o) for o in met)}

    def live(self, versions: Sequence[int], key: str) -> set[int]:
        """Those of the writes found that are no deletions."""
        return {w for w in self.found(versions, key) if self.wrote[w][key] is not None}

    def sees(self, version: int, key: str) -> Seen:
        """A deletion hides what is older and yields to a change on another side; two changes are a conflict."""
        live = self.live([version], key)
        return self.wrote[live.pop()][key] if len(live) == 1 else frozenset(live) or None

    def settled(self, parents: Sequence[int]) -> dict[str, set[bytes | None]]:
        """What a merge of `parents` may show of each key when its conflicts are settled: the first parent wins."""
        out: dict[str, set[bytes | None]] = {}
        for key in self.names():
            live = self.live(parents, key)
            first = next((fits for p in parents if (fits := live & self.live([p], key))), None)
            out[key] = {self.wrote[w][key] for w in first} if first else {None}
        return out

    def names(self) -> list[str]:
        """Every key that was ever written, by the order of its UTF-8 bytes."""
        return sorted({key for wrote in self.wrote.values() for key in wrote}, key=str.encode)

    def all(self, version: int) -> dict[str, Seen]:
        """Everything that a version sees, in the order of the keys."""
        return {key: seen for key in self.names() if (seen := self.sees(version, key)) is not None}


async def seen(found: Found | None) -> Seen:
    """What a read gave, as the model says it."""
    if isinstance(found, Disputed):
        return frozenset(found.versions)
    return None if found is None else await found.read()


async def scanned(view: View, start: bytes, stop: bytes, *, reverse: bool = False) -> dict[str, Seen]:
    """All that a scan gives, by the name of the cell."""
    out: dict[str, Seen] = {}
    async for page in view.scan(start, stop, reverse=reverse):
        assert page, "a scan gave an empty page"
        for tkey, found in page:
            (name,) = CELL.unpack(tkey)
            assert name not in out, "a scan gave a key twice"
            out[name] = await seen(found)
    return out


async def check_reads(view: View, expected: dict[str, Seen], names: Sequence[str]) -> None:
    """Every way to read the cells `names` at `view` gives what is expected; all others are absent."""
    tkeys = [CELL.key(name) for name in names]
    wanted = [expected.get(name) for name in names]
    assert [await seen(found) for found in await view.find_many(tkeys)] == wanted
    disputed = [isinstance(value, frozenset) for value in wanted]
    for tkey, value, refused in zip(tkeys, wanted, disputed, strict=True):
        if refused:
            with pytest.raises(MergeConflict):
                await view.get(tkey)
        else:
            assert await view.get(tkey) == value
    if any(disputed):
        with pytest.raises(MergeConflict):
            await view.get_many(tkeys)
    else:
        assert await view.get_many(tkeys) == wanted
    for first, last in [("", "\U0010ffff"), (min(names), max(names)), (names[0], names[-1])]:
        await _check_range(view, expected, *CELL.range(first, last))
    start, stop = sorted((CELL.key(names[0]), CELL.key(names[-1])))
    await _check_range(view, expected, start, stop)


async def _check_range(view: View, expected: dict[str, Seen], start: bytes, stop: bytes) -> None:
    wanted = [(name, value) for name, value in expected.items() if start <= CELL.key(name) < stop]
    assert list((await scanned(view, start, stop)).items()) == wanted
    assert list((await scanned(view, start, stop, reverse=True)).items()) == wanted[::-1]
    for reverse in (False, True):
        keys = [CELL.unpack(t)[0] async for page in view.scan_keys(start, stop, reverse=reverse) for t in page]
        assert keys == [name for name, _ in wanted][:: -1 if reverse else 1]
