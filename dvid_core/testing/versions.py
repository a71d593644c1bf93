"""A plain model of what versions see, in the words of the contract; slow and plain on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

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

    def keys(self) -> list[str]:
        """Every key that was ever written, by the order of its UTF-8 bytes."""
        return sorted({key for wrote in self.wrote.values() for key in wrote}, key=str.encode)

    def all(self, version: int) -> dict[str, Seen]:
        """Everything that a version sees, in the order of the keys."""
        return {key: seen for key in self.keys() if (seen := self.sees(version, key)) is not None}
