"""Edits that change many blocks of scale 0 at once: one small commit, however many blocks there are.

A few changed blocks go into the edit's own commit.  Of many, the new forms are staged first, in *packages* of the size
of a large value's chunk, which nobody sees; the edit's commit names the packages.  From then on these are what is
read, and they are moved to their places package by package.  A start moves what a stop or crash left.

    async def change(m: Mutation) -> None:
        rewrite = Rewrite(m)
        await rewrite.add(names, stored)      # any number of times, each block once
        ...
        await rewrite.put()
        m.record(..., payload={..., **rewrite.payload})

    done = await view.edit(...)
    await instance.moves.move(view, done.mutation_id)

The caller holds locks that keep others from writing these blocks between the read of the old forms and the commit: the
bodies of all labels in question.  Blocks that are still to be moved are kept from other writers by `Moves.settled`
before, and `Moves.holds` under, their locks.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dvid_core import Mutation, Staged, View

from ..geometry import Triple
from ..volume import Stored
from .keys import BLOCK, PACKAGE
from .merging import first_parent

if TYPE_CHECKING:
    from .instance import Segmentation

DIRECT = 4 << 20
"""Bytes of blocks that go into the edit's own commit: it holds up others for some 10 ms."""

BYTES = 1 << 20
"""Bytes of a package, which is one chunk of a large value and later one commit."""

_HEAD = struct.Struct("<3iI")


class Rewrite:
    """The changed blocks of one edit."""

    def __init__(self, m: Mutation) -> None:
        self._m = m
        self._held: list[tuple[Triple, bytes]] = []
        self._nbytes = 0
        self._packages: list[bytes | Staged] = []
        self._places: dict[Triple, int] = {}

    @property
    def payload(self) -> dict[str, Any]:
        """What the edit's log record says of it."""
        return {"packages": len(self._packages)} if self._packages else {}

    async def add(self, names: Sequence[Triple], stored: Sequence[bytes]) -> None:
        """Take the new stored forms of blocks (z, y, x)."""
        for found in zip(names, stored):
            self._held.append(found)
            self._nbytes += len(found[1])
            if self._nbytes > (BYTES if self._packages else DIRECT):
                await self._stage()

    async def _stage(self) -> None:
        part: list[tuple[Triple, bytes]] = []
        size = 0
        for found in self._held:
            if part and size + _HEAD.size + len(found[1]) > BYTES:
                await self._stage_part(part)
                part, size = [], 0
            part.append(found)
            size += _HEAD.size + len(found[1])
        await self._stage_part(part)
        self._held, self._nbytes = [], 0

    async def _stage_part(self, part: list[tuple[Triple, bytes]]) -> None:
        staged = await self._m.view.stage(_once(pack_blocks_of(part)))
        for at, _ in part:
            self._places[at] = len(self._packages)
        self._packages.append(staged)

    async def put(self) -> None:
        """Put all into the edit; nothing is added afterwards."""
        m = self._m
        if not self._packages:
            for at, stored in self._held:
                m.put(BLOCK.key(0, at), stored)
            return
        if self._held:
            await self._stage()
        for number, package in enumerate(self._packages):
            m.put(PACKAGE.key(m.id, number), package)
        moves_of(m.view).prepare(m.id, m.view.version, self._places)

    async def drop(self) -> None:
        """The edit did not happen: remove what was staged."""
        moves_of(self._m.view).forget(self._m.id)
        for package in self._packages:
            await self._m.view.discard(package)


class Moves:
    """Published packages whose blocks are still to be moved; one per instance."""

    def __init__(self, instance: Segmentation) -> None:
        self._instance = instance
        self._prepared: dict[int, tuple[int, dict[Triple, int]]] = {}
        self.shown: dict[int, dict[Triple, tuple[int, int]]] = {}
        """By version and block: the mutation id and number of the package that is read in its place."""
        self.turn = 0
        """Grows with each package that is moved."""
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}

    def prepare(self, mutation: int, version: int, places: dict[Triple, int]) -> None:
        """An edit is about to be committed."""
        self._prepared[mutation] = version, places

    def forget(self, mutation: int) -> None:
        """It was not."""
        self._prepared.pop(mutation, None)

    def publish(self, mutation: int) -> None:
        """It was: its blocks are what is read from now on.  Called by `apply`."""
        found = self._prepared.pop(mutation, None)
        if found is not None:
            version, places = found
            shown = self.shown.setdefault(version, {})
            shown.update((at, (mutation, number)) for at, number in places.items())

    # -- reading

    def seen_from(self, version: int) -> list[int]:
        """The versions with blocks to be moved that a version sees, newest first."""
        if not self.shown:
            return []
        if not self._instance.versioned:
            return list(self.shown)
        return self._instance.repo.dag.visible(version, self.shown)

    async def replaced(self, view: View, found: list[Stored]) -> list[Stored]:
        """Stored blocks of scale 0 as they were just read, with those in the place of which a package is read."""
        for version in self.seen_from(view.version):
            places = self.shown.get(version, {})
            rows: dict[tuple[int, int], list[int]] = {}
            for row, (at, _) in enumerate(found):
                if at in places:
                    rows.setdefault(places[at], []).append(row)
            if rows:
                found = await self._replaced(view, version, found, rows)
        return found

    async def _replaced(
        self, view: View, version: int, found: list[Stored], rows: dict[tuple[int, int], list[int]]
    ) -> list[Stored]:
        source = view if version == view.version else View(self._instance, self._instance.repo.dag.nodes[version])
        out = list(found)
        for (mutation, number), some in rows.items():
            keys = [BLOCK.key(0, found[row][0]) for row in some]
            if source is not view:
                # A version between may have its own block: what is seen there is not what is to be moved.
                own = await first_parent(source, BLOCK.number).get_many(keys)
                some = [row for row, stored in zip(some, own) if stored == found[row][1]]
                keys = [BLOCK.key(0, found[row][0]) for row in some]
            data = await source.get(PACKAGE.key(mutation, number)) if some else None
            if data is None:
                again = await first_parent(view, BLOCK.number).get_many(keys)
                for row, stored in zip(some, again):
                    if stored is not None:
                        out[row] = out[row][0], stored
                continue
            blocks = dict(blocks_of(data))
            for row in some:
                out[row] = out[row][0], blocks[out[row][0]]
        return out

    # -- writing

    def holds(self, version: int, names: Iterable[Triple]) -> bool:
        """Whether one of these blocks is to be moved before it can be written at a version."""
        seen = self.seen_from(version)
        return bool(seen) and any(at in self.shown[v] for v in seen for at in names)

    async def settled(self, version: int, names: Sequence[Triple] | None = None) -> None:
        """Return when none of these blocks (of all blocks, without names) is to be moved; then look again."""
        while True:
            for seen in self.seen_from(version):
                places = self.shown[seen]
                wanted = {places[at][0] for at in (places if names is None else names) if at in places}
                if wanted:
                    node = self._instance.repo.dag.nodes.get(seen) or self._instance.repo.dag.root
                    await self.move(View(self._instance, node), min(wanted))
                    break
            else:
                return

    async def move(self, view: View, mutation: int) -> None:
        """Move the blocks of an edit; goes on to its end when the caller is cancelled."""
        key = view.version, mutation
        task = self._tasks.get(key)
        if task is None:
            # Not on behalf of the user: it must come to its end in a version that is locked meanwhile too.
            task = self._instance.in_background(self._move(View(self._instance, view.node), mutation))
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        await asyncio.shield(task)

    async def _move(self, view: View, mutation: int) -> None:
        first, behind = PACKAGE.key(mutation, 0), PACKAGE.key(mutation + 1, 0)
        keys = [tkey async for page in view.scan_keys(first, behind) for tkey in page]
        for tkey in keys:
            data = await view.get(tkey)
            if data is not None:
                blocks = list(blocks_of(data))
                await self._move_package(view, tkey, blocks)
                self._unshow(view.version, mutation, [at for at, _ in blocks])
        self._unshow(view.version, mutation, list(self.shown.get(view.version, ())))

    async def _move_package(self, view: View, tkey: bytes, blocks: list[tuple[Triple, bytes]]) -> None:
        async def change(m: Mutation) -> None:
            for at, stored in blocks:
                m.put(BLOCK.key(0, at), stored)
            m.delete(tkey)

        await view.edit("move", change, locks=[(view.version, 0, 0, *at) for at, _ in blocks], durable=False)

    def _unshow(self, version: int, mutation: int, names: Iterable[Triple]) -> None:
        """These blocks are where they belong, if they were those of `mutation`."""
        self.turn += 1
        shown = self.shown.get(version, {})
        for at in names:
            if at in shown and shown[at][0] == mutation:
                del shown[at]
        if not shown:
            self.shown.pop(version, None)

    async def resume(self) -> None:
        """Move what a stop or crash left, before anything is read."""
        for version in sorted(self._instance.written(PACKAGE.number)):
            node = self._instance.repo.dag.nodes.get(version) or self._instance.repo.dag.root
            view = View(self._instance, node)
            if view.version != version:
                continue
            found = {PACKAGE.unpack(k)[0] async for page in view.scan_keys(*PACKAGE.all()) for k in page}
            for mutation in sorted(found):
                await self.move(view, mutation)


def moves_of(view: View) -> Moves:
    """The moves of a view's instance."""
    moves: Moves = view.instance.moves  # type: ignore[attr-defined]
    return moves


def pack_blocks_of(blocks: Iterable[tuple[Triple, bytes]]) -> bytes:
    """The stored form of a package: for each block i32 z, y, x, u32 n and n bytes, its stored form; LE."""
    return b"".join(part for at, stored in blocks for part in (_HEAD.pack(*at, len(stored)), stored))


def blocks_of(data: bytes) -> Iterator[tuple[Triple, bytes]]:
    """The blocks of a package."""
    at = 0
    while at < len(data):
        z, y, x, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield (z, y, x), data[at : at + size]
        at += size


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
