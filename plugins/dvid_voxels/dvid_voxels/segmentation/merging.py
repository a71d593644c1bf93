"""Versions with several parents: what is read where the parents disagree.

Each block and each index is a value of its own, and so is the mapping of each supervoxel.  What one side changed since
the parents had a version in common is its change; what both changed is disputed.  A read of one thing that is disputed
is an error that says so.  Reads of many take what the first parent sees, and so do edits that have to go on from it.
Whatever is written at the merged version, or below, settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dvid_core import Disputed, Value, View

from .keys import BODY, SEGMENT

if TYPE_CHECKING:
    from .instance import Segmentation


def nearest_first(dag: Any, version: int) -> list[int]:
    """A version and its ancestors, each before its own ancestors; of a merge all that only the first parent sees comes
    before what others see."""
    out: list[int] = []
    done: set[int] = set()
    todo: list[tuple[int, bool]] = [(version, False)]
    while todo:
        at, left = todo.pop()
        if left:
            out.append(at)
            continue
        if at in done:
            continue
        done.add(at)
        todo.append((at, True))
        # The last parent is walked first, so that what it shares with others comes last.
        todo += [(p, False) for p in dag.nodes[at].parents]
    return out[::-1]


def may_dispute(view: View, klass: int) -> bool:
    """Whether a value of this class can be disputed as `view` sees it: not along a single line of versions."""
    return not view.instance.is_chain(klass, view.version)


class FirstParent:
    """Reads of many values, those that are disputed as the first of the parents has them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._instance: Segmentation = view.instance  # type: ignore[assignment]

    async def find_many(self, tkeys: Sequence[bytes]) -> list[Value | None]:
        """What is seen of these tkeys of one class, in their order."""
        found = await self.view.find_many(tkeys)
        rivals: dict[int, list[int]] = {}
        for i, value in enumerate(found):
            if isinstance(value, Disputed):
                rivals.setdefault(self._first(value.versions), []).append(i)
        for version, places in rivals.items():
            chosen = await self.at(version).find_many([tkeys[i] for i in places])
            for i, value in zip(places, chosen):
                found[i] = value
        return found  # type: ignore[return-value]

    async def get_many(self, tkeys: Sequence[bytes]) -> list[bytes | None]:
        """Their bytes.

        Of a segment that an index names but that another side has removed there are none: it lost all its voxels there.
        """
        missing = b"" if tkeys and tkeys[0][0] == SEGMENT.number else None
        return [missing if v is None else await v.read() for v in await self.find_many(tkeys)]

    async def sources(self, labels: Sequence[int]) -> list[Reader]:
        """Where the segments of each index are to be read: what belongs to a disputed one is not mixed."""
        found = await self.view.find_many([BODY.key(label) for label in labels])
        return [FirstParent(self.at(self._first(v.versions))) if isinstance(v, Disputed) else self for v in found]

    def at(self, version: int) -> View:
        """The instance seen from another version."""
        return self.view.at(self._instance.repo.dag.nodes[version])

    def _first(self, versions: Iterable[int]) -> int:
        rank = {v: i for i, v in enumerate(self._instance.order(self.view.version))}
        return min(versions, key=rank.__getitem__)


Reader = View | FirstParent


def first_parent(view: View, klass: int) -> Reader:
    """What reads many values of a class: the view itself where none can be disputed."""
    return FirstParent(view) if may_dispute(view, klass) else view
