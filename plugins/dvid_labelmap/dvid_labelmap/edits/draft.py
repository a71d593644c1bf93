"""`Draft`: what one edit of bodies stages.  `perform` runs an edit under the locks of all bodies that it touches.

Which bodies an edit touches may be known only once they are looked at, and they may change until they are locked.  So
an edit asks for bodies by name; when it asks for one that is not locked it is begun anew with that lock too.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from dvid_core import BadRequest, Edited, Event, Mutation, Unavailable, View
from dvid_voxels.geometry import Triple
from dvid_voxels.label_events import pack_labels
from dvid_voxels.segmentation.asking import check_indexed
from dvid_voxels.segmentation.blobs import digest_of, put_blob
from dvid_voxels.segmentation.body import Body, Labels, Touch, read_body
from dvid_voxels.segmentation.index import off_loop, put_body
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.rewriting import Rewrite

from ..asking import labelmap_of
from ..keys import BEFORE, EDIT, POSTED
from ..mapping import ordered
from ..snapshot import pieces
from ..state import pack_pairs
from .journal import Cut, Entry, Move, pack_entry

if TYPE_CHECKING:
    from ..mapping import Seen

T = TypeVar("T")

IN_RECORD = 4096
"""Supervoxels of an edit whose new bodies its log record holds."""

LISTED = 100_000
"""Supervoxels of a cleave that its log record and its event list."""

INLINE = 64 << 10
"""Bytes of a value that is written in the commit itself."""

TRIES = 40
PATIENT = 5
"""So often an edit is begun anew because one with a later id came before it."""

STEPS = 64
"""Bodies that are worked on between two moments for others: some 2 ms."""

MOVED = 64
"""Supervoxels that are kept in a set rather than as an array."""


class Again(Exception):
    """Raised inside an edit that needs further locks."""

    def __init__(self, labels: Iterable[int] = (), blocks: Iterable[Triple] = ()) -> None:
        super().__init__()
        self.labels, self.blocks = frozenset(labels), frozenset(blocks)


class Draft:
    """One attempt at an edit."""

    def __init__(self, m: Mutation, labels: frozenset[int], blocks: frozenset[Triple], patient: bool) -> None:
        self.m, self.view = m, m.view
        self.instance = labelmap_of(m.view)
        self.seen: Seen = self.instance.seen(m.view)
        self.blocks = blocks
        """The blocks of scale 0 that are locked."""
        self._labels, self._patient = labels, patient
        self._steps = 0
        self._stored: dict[int, bytes | None] = {}
        self._bodies: dict[int, Body | None] = {}
        self._changed: set[int] = set()
        self._mapped: list[tuple[Labels, Labels]] = []
        self._named: set[int] = set()
        self._arrays: list[Labels] = []
        self.events: list[Event] = []
        self.shown: list[dict[str, Any]] = []
        self.cuts: list[Cut] = []
        self.moves: list[Move] = []
        self.downres = True
        self.largest = 0
        """The largest name that was chosen for something new."""
        self.taken = 0
        """The largest of the new labels that it uses."""
        self.rewrite: Rewrite | None = None
        """The blocks that it changes."""
        self.payload: dict[str, Any] = {}

    # -- bodies

    async def load(self, labels: Iterable[int]) -> None:
        """Read the heads of bodies, which must be locked."""
        wanted = [label for label in dict.fromkeys(labels) if label not in self._stored]
        if not self._labels.issuperset(wanted):
            raise Again(wanted)
        for label, data in zip(wanted, await self.m.get_many([BODY.key(label) for label in wanted])):
            await self.breathe()
            self._stored[label] = data
            self._bodies[label] = None if data is None else await off_loop(self.view, len(data) // 32, read_body, data)
            body = self._bodies[label]
            if body is not None and body.touch.mutation_id > self.m.id and self._patient:
                raise Again()

    async def find(self, label: int) -> Body | None:
        """A body as this edit has made it so far; None when there is none."""
        await self.load([label])
        return self._bodies[label]

    async def body(self, label: int, what: str = "label") -> Body:
        """A body that must be there; `BadRequest` names `what`."""
        found = await self.find(label)
        if found is None:
            raise BadRequest(f"{what}: there is no body {label} at version {self.view.uuid}")
        return found

    async def supervoxels(self, body: Body) -> Labels:
        """The supervoxels of a body, ascending."""
        return await off_loop(self.view, body.entries, lambda: body.supervoxels)

    def put(self, label: int, body: Body | None) -> None:
        """Let a body be this from now on; None: there is none any more."""
        self._bodies[label] = None if body is None or body.empty else body
        self._changed.add(label)

    async def breathe(self) -> None:
        """Let others run now and then, in loops over bodies."""
        self._steps += 1
        if self._steps % STEPS == 0:
            await asyncio.sleep(0)

    # -- mapping

    def map(self, supervoxels: Labels, body: int) -> None:
        """Let supervoxels belong to a body, or to none with 0."""
        self._mapped.append((supervoxels, np.full(len(supervoxels), body, np.uint64)))
        if len(supervoxels) < MOVED:
            self._named.update(supervoxels.tolist())
        else:
            self._arrays.append(np.sort(supervoxels))

    def retire(self, name: int) -> None:
        """Let a name stand for no supervoxel, unless an entry says what it stands for."""
        if not self.has_entry(name):
            self.map(np.array([name], np.uint64), 0)

    def has_entry(self, supervoxel: int) -> bool:
        """Whether the mapping has an entry of a supervoxel."""
        if supervoxel in self._named or bool(self.seen.find(np.array([supervoxel], np.uint64))[1][0]):
            return True
        for held in self._arrays:
            at = int(np.searchsorted(held, np.uint64(supervoxel)))
            if at < len(held) and int(held[at]) == supervoxel:
                return True
        return False

    # -- the record

    def show(self, action: str, **fields: Any) -> None:
        """Add what `GET mutations` shows."""
        caller = self.view.caller
        entry: dict[str, Any] = {"Action": action, "MutationID": self.m.id, **fields}
        if caller.user:
            entry["User"] = caller.user
        if caller.app:
            entry["App"] = caller.app
        self.shown.append(entry)

    async def stage(self, kind: str, undoes: int = 0) -> None:
        """Stage all of it."""
        m, caller = self.m, self.view.caller
        time = datetime.datetime.fromtimestamp(m.time, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        touch = Touch(m.id, time, caller.user, caller.app)
        for label in sorted(self._changed):
            await self.breathe()
            body = self._bodies[label]
            if body is not None:
                await put_body(m, label, msgspec.structs.replace(body, touch=touch))
            elif self._stored[label] is not None:
                m.delete(BODY.key(label))
            await self._put(BEFORE.key(label, m.id), self._stored[label] or b"")
        entry = Entry(
            kind=kind, mutation=m.id, time=m.time, user=caller.user, app=caller.app, uuid=self.view.uuid,
            shown=self.shown, cuts=self.cuts, moves=self.moves, downres=self.downres, undoes=undoes,
        )  # fmt: skip
        await self._put(EDIT.key(m.id), pack_entry(entry))
        await self._stage_mapping()
        if self.taken:
            self.payload.update(self.instance.state.taken(self.taken))
        if self.largest > self.taken and self.instance.raises(self.view.version, self.largest):
            self.payload["max"] = self.largest
        for shown in self.shown:
            m.record(await self._short(shown))
        m.record(events=self.events, payload=self.payload)

    async def _short(self, shown: dict[str, Any]) -> dict[str, Any]:
        """A record without a long list of supervoxels, which a blob has then."""
        if len(shown.get("CleavedSupervoxels", ())) <= LISTED:
            return shown
        data = await self.view.run(msgspec.json.encode, shown)
        reference = put_blob(self.m, await self.view.run(digest_of, data), data)
        return {**{name: value for name, value in shown.items() if name != "CleavedSupervoxels"}, "DataRef": reference}

    async def _put(self, tkey: bytes, data: bytes) -> None:
        self.m.put(tkey, data if len(data) <= INLINE else await self.view.stage(pieces(data)))

    async def _stage_mapping(self) -> None:
        if not self._mapped:
            return
        supervoxels, bodies = (np.concatenate(column) for column in zip(*self._mapped))
        if len(supervoxels) <= IN_RECORD:
            self.payload["map"] = pack_pairs(supervoxels, bodies)
            return
        supervoxels, bodies = await self.view.run(ordered, supervoxels, bodies)
        self.m.put(POSTED.key(self.m.id), await self.view.stage(pieces(pack_pairs(supervoxels, bodies))))
        self.instance.state.incoming[self.m.id] = supervoxels, bodies
        self.payload["posted"] = self.m.id

    async def abandon(self) -> None:
        """Nothing of this attempt was committed, or all of it was: forget what is left in memory, remove chunks."""
        self.instance.state.incoming.pop(self.m.id, None)
        if self.rewrite is not None:
            await self.rewrite.drop()
        for staged in self.m.staged:
            await self.view.discard(staged)


def told(supervoxels: Labels) -> bytes:
    """What an event tells of the supervoxels of a cleave."""
    return pack_labels(supervoxels) if len(supervoxels) <= LISTED else b""


async def perform(
    view: View,
    kind: str,
    change: Callable[[Draft], Awaitable[T]],
    labels: Iterable[int],
    *,
    blocks: Iterable[Triple] = (),
    undoes: int = 0,
) -> Edited[T]:
    """Run `change`, which looks at bodies and stages an edit, with `labels` and all else that it asks for locked."""
    check_indexed(view)
    instance, version = labelmap_of(view), view.version
    locked, held = frozenset(labels), frozenset(blocks)
    for attempt in range(TRIES):
        if held:
            await instance.moves.settled(version, list(held))
        drafts: list[Draft] = []
        attempted = partial(_attempted, drafts, kind, change, undoes, locked, held, attempt < PATIENT)
        locks = [*((version, 0, 0, *at) for at in held), *((version, 2, label) for label in locked)]
        try:
            return await view.edit(kind, attempted, locks=locks, with_id=True)
        except Again as more:
            locked, held = locked | more.labels, held | more.blocks
        finally:
            for draft in drafts:
                await draft.abandon()
    raise Unavailable(f"{kind}: others kept changing the same bodies; try again")


async def _attempted(
    drafts: list[Draft],
    kind: str,
    change: Callable[[Draft], Awaitable[T]],
    undoes: int,
    labels: frozenset[int],
    blocks: frozenset[Triple],
    patient: bool,
    m: Mutation,
) -> T:
    draft = Draft(m, labels, blocks, patient)
    drafts.append(draft)
    result = await change(draft)
    await draft.stage(kind, undoes)
    return result
