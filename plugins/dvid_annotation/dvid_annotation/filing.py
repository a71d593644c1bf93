"""`Filing`: the changes of one edit to the lists of labels and tags."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import Mutation
from dvid_voxels.annotation_events import FILED as CHANGE
from dvid_voxels.annotation_events import ElementsFiled, pack_changes
from dvid_voxels.geometry import Triple

from .elements import tags_of
from .keys import FILED, LABEL, TAG
from .rows import Item
from .segments import LARGEST, MOST, Segment, make_entries, segment_of

Labels = NDArray[np.uint64]

_STEPS = 1 << 20
_NONE = (0, 0, 0)


class Filing:
    """What an edit adds to lists and takes out of them; `stage` puts it all into the mutation."""

    def __init__(self, m: Mutation) -> None:
        self.m = m
        self._base = secrets.randbits(43) * _STEPS
        self._next = 0
        self._puts: list[tuple[bytes, Segment]] = []
        self._gone: defaultdict[tuple[int, int], set[Triple]] = defaultdict(set)
        self._untagged: defaultdict[tuple[str, int], set[Triple]] = defaultdict(set)
        self._changes: list[NDArray[Any]] = []

    def _segment(self) -> int:
        self._next += 1
        if self._next == _STEPS:
            self._base, self._next = secrets.randbits(43) * _STEPS, 1
        return self._base + self._next

    # -- joining

    def list_under_labels(
        self, labels: Labels, supervoxels: Labels, positions: NDArray[Any], kinds: NDArray[np.uint8],
        texts: Sequence[bytes],
    ) -> Labels:  # fmt: skip
        """Add elements to the lists of their labels, 0 for none; gives the segment of each."""
        segments = np.zeros(len(labels), np.uint64)
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] != 0]
        if not len(order):
            return segments
        sizes = [len(text) for text in texts]
        entries = make_entries(positions, supervoxels, sizes, kinds)
        self.changed(labels[order], entries[order], 1)
        starts = np.flatnonzero(np.diff(labels[order], prepend=np.uint64(0)))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(order)]):
            label = int(labels[order[start]])
            while start < stop:
                end, weight = start, 0
                while end < min(stop, start + MOST) and (end == start or weight + sizes[order[end]] <= LARGEST):
                    weight += sizes[order[end]]
                    end += 1
                some = order[start:end]
                segment = self._segment()
                segments[some] = segment
                self._puts.append((LABEL.key(label, segment), Segment(entries[some], [texts[i] for i in some])))
                start = end
        return segments

    def list_under_tags(
        self, tags: Sequence[Sequence[str]], positions: NDArray[Any], kinds: NDArray[np.uint8], texts: Sequence[bytes]
    ) -> Labels:
        """Add elements to the lists of their tags; gives the segment of each, 0 for none.

        An element has one segment for all its tags, so its place is the first one that is free in all of them.
        """
        segments = [0] * len(tags)
        turns: dict[str, tuple[int, int, int]] = {}  # the turn of a tag, elements and bytes in it
        lists: dict[tuple[str, int], list[int]] = {}
        ids: list[int] = []
        sizes = [len(text) for text in texts]
        for i, (own, size) in enumerate(zip(tags, sizes)):
            if not own:
                continue
            turn = 0
            for tag in own:
                at, count, weight = turns.get(tag, _NONE)
                turn = max(turn, at if count < MOST and weight + size <= LARGEST else at + 1)
            for tag in own if len(own) == 1 else set(own):
                at, count, weight = turns.get(tag, _NONE)
                if at == turn and count:
                    turns[tag] = (turn, count + 1, weight + size)
                    lists[tag, turn].append(i)
                else:
                    turns[tag] = (turn, 1, size)
                    lists[tag, turn] = [i]
            while len(ids) <= turn:
                ids.append(self._segment())
            segments[i] = ids[turn]
        if lists:
            entries = make_entries(positions, 0, sizes, kinds)
            for (tag, turn), some in lists.items():
                self._puts.append((TAG.key(tag, ids[turn]), Segment(entries[some], [texts[i] for i in some])))
        return np.array(segments, np.uint64)

    def put_list(self, label: int, segment: Segment) -> None:
        """Add a segment to the list of a label as it is."""
        self._puts.append((LABEL.key(label, self._segment()), segment))
        self.changed(label, segment.entries, 1)

    # -- leaving

    def take_out(self, items: Iterable[Item], labels: Mapping[int, int], *, tags: bool = True) -> None:
        """Take elements out of their lists; `labels` says under which label each supervoxel is filed."""
        for item in items:
            if item.supervoxel and (label := labels.get(item.supervoxel)):
                self._gone[label, item.label_segment].add(item.position)
            if tags and item.tag_segment:
                for tag in tags_of(item.text):
                    self._untagged[tag, item.tag_segment].add(item.position)

    def file(self, supervoxels: Mapping[int, int]) -> None:
        """Note the label of each supervoxel; 0: of none."""
        for supervoxel, label in supervoxels.items():
            if label:
                self.m.put(FILED.key(supervoxel), label.to_bytes(8, "little"))
            else:
                self.m.delete(FILED.key(supervoxel))

    def changed(self, labels: Any, entries: NDArray[Any], change: int) -> None:
        """Note what followers are told."""
        changes = np.empty(len(entries), CHANGE)
        changes["label"], changes["change"] = labels, change
        changes["position"], changes["kind"] = entries["position"], entries["kind"]
        self._changes.append(changes)

    # -- staging

    async def stage(self) -> None:
        """Put it all into the mutation, with the event."""
        await self._drop([(LABEL.key(*at), at[0], gone) for at, gone in self._gone.items()])
        await self._drop([(TAG.key(*at), 0, gone) for at, gone in self._untagged.items()])
        for key, segment in self._puts:
            self.m.put(key, segment.value())
        changes = net(self._changes)
        if len(changes):
            self.m.record(events=[ElementsFiled(pack_changes(changes))])

    async def _drop(self, lists: list[tuple[bytes, int, set[Triple]]]) -> None:
        if not lists:
            return
        for (key, label, gone), value in zip(lists, await self.m.get_many([key for key, *_ in lists])):
            if value is None:
                continue  # lists are as they were given until they are reloaded
            segment = segment_of(value)
            leaves = np.array([tuple(p) in gone for p in segment.entries["position"].tolist()], bool)
            if label:
                self.changed(label, segment.entries[leaves], -1)
            if leaves.all():
                self.m.delete(key)
            elif leaves.any():
                self.m.put(key, segment.part(~leaves).value())


def net(changes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Changes without those that undo one another."""
    joined = np.concatenate(changes) if changes else np.empty(0, CHANGE)
    if not (joined["change"] < 0).any() or not (joined["change"] > 0).any():
        return joined
    same = np.dtype([("label", "<u8"), ("position", "<i4", (3,)), ("kind", "u1")])
    bare = np.empty(len(joined), same)
    for name in ("label", "position", "kind"):
        bare[name] = joined[name]
    _, first, which = np.unique(bare.view(np.dtype((np.void, same.itemsize))), return_index=True, return_inverse=True)
    sums = np.zeros(len(first), np.int64)
    np.add.at(sums, which.ravel(), joined["change"])
    out: NDArray[Any] = np.repeat(joined[first], np.abs(sums))
    out["change"] = np.repeat(np.sign(sums), np.abs(sums))
    return out
