"""Versions with several parents: what is read where the parents disagree.

Each block and each index is a value of its own, and so is the mapping of each supervoxel.  What one side changed since
the parents had a version in common is its change; what both changed is disputed.  A read of one thing that is disputed
is an error that says so.  Reads of many take what the first parent sees, and so do edits that have to go on from it.
Whatever is written at the merged version, or below, settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from dvid_core import Disputed, Value, View

from .keys import BODY

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
        """Their bytes."""
        return [None if value is None else await value.read() for value in await self.find_many(tkeys)]

    async def origins(self, labels: Sequence[int]) -> list[View]:
        """The versions that wrote the indices of these bodies as they are seen, or as the first parent has them.

        An index counts as a whole, so its segments are what they are there.
        """
        instance = self._instance
        if not instance.versioned:
            return [self.view] * len(labels)
        keys = [BODY.key(label) for label in labels]
        writers = self.view.writers(BODY.number)
        # The layout of data keys: prefix, tkey, the version counted down.
        stored = iter(
            await instance.store.get_many(
                [instance.prefix + key + (2**32 - 1 - w).to_bytes(4, "big") for key in keys for w in writers]
            )
        )
        out = []
        for _ in keys:
            entries = {w: raw for w in writers if (raw := next(stored)) is not None}
            nearest = instance.repo.dag.survivors(self.view.version, entries)
            living = [w for w in nearest if entries[w]]
            out.append(self.at(self._first(living)) if living else self.view)
        return out

    def at(self, version: int) -> View:
        """The instance seen from another version."""
        return self.view.at(self._instance.repo.dag.nodes[version])

    def _first(self, versions: Iterable[int]) -> int:
        rank = {v: i for i, v in enumerate(self._instance.order(self.view.version))}
        return min(versions, key=rank.__getitem__)


async def origin(view: View, label: int) -> View:
    """Where the segments of an index are to be read that `view` sees."""
    return (await FirstParent(view).origins([label]))[0] if may_dispute(view, BODY.number) else view


def first_parent(view: View, klass: int) -> FirstParent:
    """What reads many values of a class.  Where none can be disputed that is the view itself, which is quicker."""
    return FirstParent(view) if may_dispute(view, klass) else cast("FirstParent", view)
