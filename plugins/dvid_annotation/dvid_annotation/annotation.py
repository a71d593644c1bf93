"""The datatype `annotation`."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import Event, Instance, LogRecord, Mutation, View
from dvid_voxels.annotation_events import ElementsFiled, FiledElements
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import LABEL_EVENTS

from .following import tasks_of
from .grid import DEFAULT, Grid
from .handlers import ROUTES
from .keys import CELL, CLASSES, GRID, LABEL
from .listing import ListedElements
from .placing import followed_labels
from .settings import AnnotationSettings
from .work import Works, steps

P = TypeVar("P")

SHARDS = 16
"""Edits of elements lock those of the bricks they touch; what concerns lists as a whole locks all."""

AT_ONCE = 12 << 20
"""Bytes of lists or elements, some 100,000 of them, that are looked at in the commit that handles an event; of more,
the rest follows in the background.  What is moved is written two or three times, and a commit takes 64 MiB."""

_form = struct.Struct("<3i")


class Annotation(Instance):
    """Points with kinds, tags, properties and relationships: synapses, bookmarks, notes.

    Made with POST /api/repo/<uuid>/instance and {"typename": "annotation", "dataname": "<name>"}.  There is one element
    at each position at most:

        {"Pos": [x, y, z], "Kind": "PreSyn", "Tags": ["checked"], "Prop": {"conf": "0.9"},
         "Rels": [{"Rel": "PreSynTo", "To": [x, y, z]}]}

    Kind is one of Unknown, PostSyn, PreSyn, Gap, Note; Rel one of UnknownRelationship, PostSynTo, PreSynTo,
    ConvergentTo, GroupedWith; the values of Prop are strings.  All but Pos may be left out.

    Elements are asked for by box, block, tag, region of interest, and label: synced to a labelmap, labelarray,
    labelblk or labelvol (POST .../sync with {"sync": "<name>"}), an annotation follows each change of these labels, and
    GET label/<n> gives the elements whose voxels belong to body n.  A sync does not file elements that are there
    already; POST reload does.

    Blocks are those of the labels that are followed when the first element is written, else 64 x 64 x 64 voxels.
    """

    typename, type_version = "annotation", "0.1"
    type_url = "github.com/janelia-flyem/dvid/datatype/annotation"
    Settings = AnnotationSettings
    keys = CLASSES
    routes = ROUTES
    emits = (ElementsFiled,)

    everything: ClassVar = tuple(range(SHARDS))
    """The locks of an edit that may touch any element or list."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._grid: Grid | None = None
        self.works = Works(self)

    async def open(self) -> None:
        stored = await View(self, self.repo.dag.root).get(GRID.key())
        if stored is not None:
            self._grid = Grid(cast("Triple", _form.unpack(stored)))
        await self.works.open()

    async def close(self) -> None:
        await self.works.close()

    def apply(self, version: int, number: int, record: LogRecord) -> None:
        if record.payload is not None:
            self.works.apply(record.payload)

    def offer(self, protocol: type[P], view: View) -> P | None:
        return cast("P", ListedElements(view)) if protocol is FiledElements else None

    # -- the grid

    @property
    def grid(self) -> Grid:
        """The cells of the elements, once any were written."""
        assert self._grid is not None
        return self._grid

    async def seen_grid(self, view: View) -> Grid:
        """The cells, or those that there would be."""
        return self._grid or Grid(await _block_of_labels(view))

    async def fixed_grid(self, view: View) -> Grid:
        """The cells, which stay as they are from now on."""
        if self._grid is None:
            block = await _block_of_labels(view)

            async def change(m: Mutation) -> Triple:
                there = await m.get(GRID.key())
                if there is not None:
                    return cast("Triple", _form.unpack(there))
                m.put(GRID.key(), _form.pack(*block))
                return block

            # At the root, so that all versions see it, also when that is locked.
            done = await View(self, self.repo.dag.root).edit("grid", change, locks=self.everything)
            self._grid = self._grid or Grid(done.result)
        return self._grid

    def shards(self, grid: Grid, positions: NDArray[Any]) -> tuple[int, ...]:
        """The locks of an edit of these positions."""
        mixed = grid.bricks(positions) @ np.array([7919, 104729, 1299709])
        return tuple(np.unique(mixed % SHARDS).tolist())

    async def change(
        self,
        view: View,
        op: str,
        change: Callable[[Mutation], Awaitable[None]],
        locks: Iterable[int] = everything,
        *,
        in_reloads: bool = False,
    ) -> None:
        """An edit of elements or lists, when no work in the background stands before it."""

        async def checked(m: Mutation) -> bool:
            if self.works.hinders(view, in_reloads=in_reloads):
                return False
            await change(m)
            return True

        while True:
            await self.works.clear(view, in_reloads=in_reloads)
            if (await view.edit(op, checked, locks=locks)).result:
                return

    # -- following labels

    def event_locks(self, events: Sequence[Event]) -> Iterable[Any]:
        return self.everything

    async def follow(self, m: Mutation, event: Event) -> None:
        """File elements under the labels that they have now, after an event of the labels that are followed."""
        if self._grid is None or not any(self.writers(c.number, m.view.version) for c in (CELL, LABEL)):
            return
        if self.works.pending(m.view) or self.works.has_staged(m):
            self.works.stage(m, event)
            return
        peer = await followed_labels(m.view)
        if peer is None:
            return
        left = await steps(m, peer, self.grid, await tasks_of(m, peer, event), AT_ONCE)
        if left:
            self.works.stage(m, left)

    handles: ClassVar = dict.fromkeys(LABEL_EVENTS, follow)


async def _block_of_labels(view: View) -> Triple:
    peer = await followed_labels(view)
    return DEFAULT if peer is None else peer.block
