"""Merges and splits of volumes whose voxels hold bodies: voxels of some labels get another one, in place.

Blocks, label indices, the max label, the mark of lower scales and the event are one commit.  What is to be changed is
found in the indices, locked, and looked at again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from dvid_core import BadRequest, KeyClass, Mutation, View

from .. import labels
from ..geometry import Triple
from ..label_events import LabelsRewritten, RewrittenRuns, pack_labels, unpack_labels
from ..labels.runs import Runs
from .asking import check_indexed, instance_of
from .body import NO_ROWS, Labels, Rows, join_rows
from .counters import LOCK
from .finishing import committed, finish
from .index import change_of, set_counts
from .keys import BLOCK, DIRTY
from .merging import first_parent
from .packing import Keys, pack_blocks
from .pyramid import Pyramid, touched_parents
from .rewriting import Rewrite
from .sparse import find_place, triples
from .volume import BATCH, Unpacker, packed

SHARE = 16
"""Blocks that one kernel call works on."""


class Relabel(msgspec.Struct, frozen=True):
    """Voxels of `old` labels get the label `new`."""

    op: str
    """What the log calls it."""
    old: tuple[int, ...]
    new: int | None
    """None: a label that nobody has; 0: they become background."""
    choose: Callable[[Keys], Keys]
    """Given the packed blocks that have any of the old labels, ascending, those that are changed, ascending.

    Raises `BadRequest`."""
    pieces: Sequence[Runs] | None = None
    """For each of these the runs within it that are changed, of one old label; None: all of its old voxels."""
    told: bool = True
    """Whether followers hear of it."""


class Relabeled(msgspec.Struct, frozen=True):
    """What became of it."""

    new: int
    mutation: int


class RelabelRules(msgspec.Struct, frozen=True):
    """What datatypes do differently."""

    locks: tuple[Any, ...] = ()
    """Held by every edit besides those of blocks and bodies."""
    limit: int | None = None
    """Bytes of blocks that one edit can write, which then go into its commit; None: any, staged when they are many."""
    kept: KeyClass | None = None
    """Mutation id -> the runs of a split, for followers; see `pack_runs`."""


async def relabel(
    view: View,
    work: Relabel,
    *,
    entry: Callable[[int], dict[str, Any]] | None = None,
    also: Callable[[Mutation], None] | None = None,
) -> Relabeled:
    """Do it, all or nothing.

    `entry` makes the log's entry of the new label; `also` stages more in the same commit.  Raises `BadRequest`.
    """
    instance = check_indexed(view)
    rules = instance.relabel_rules
    version = view.version
    await instance.caught_up(view)
    while True:
        names = work.choose(await blocks_with(view, work.old))
        places = triples(names)
        await instance.moves.settled(version, places)
        guess = work.new if work.new is not None else instance.state.reserve(1)[0]
        wanted: list[Any] = [*rules.locks, *((version, 0, 0, *at) for at in places)]
        wanted += [(version, 2, label) for label in {*work.old, guess}]
        if work.new is None:
            wanted.append(LOCK)
        staged: list[Rewrite] = []

        async def change(
            m: Mutation, names: Keys = names, guess: int = guess, staged: list[Rewrite] = staged
        ) -> Pyramid | None:
            # Which blocks have the labels is only sure once these are locked; so is which label is new.
            now = work.choose(await blocks_with(view, work.old))
            new, payload = (guess, {}) if work.new is not None else instance.state.reserve(1)
            if new != guess or instance.moves.holds(version, triples(now)) or not np.isin(now, names).all():
                return None
            if len(now) and new and instance.raises(version, new):
                payload = {**payload, "max": new}
            await _drop(staged)
            rewrite = Rewrite(m) if rules.limit is None else None
            if rewrite is not None:
                staged.append(rewrite)
            rows = await _rewrite(m, work, new, now, rewrite, rules.limit)
            if rewrite is not None:
                await rewrite.put()
                payload = {**payload, **rewrite.payload}
            if len(rows):
                await set_counts(m, change_of(rows.supervoxels, rows))
            scales = Pyramid(1, touched_parents(triples(now)) if instance.settings.MaxDownresLevel else [])
            if scales.parents:
                m.put(DIRTY.key(m.id), scales.pack())
            if also is not None:
                also(m)
            told = work.told and len(now)
            if told:
                payload = {**payload, "rewrote": m.id}
            event = LabelsRewritten(
                tuple(triples(now)), m.id, pack_labels(work.old), new, partly=work.pieces is not None
            )
            m.record(None if entry is None else entry(new), events=[event] if told else [], payload=payload or None)
            return scales

        try:
            done = await committed(view, view.edit(work.op, change, locks=wanted, with_id=True))
        except BaseException:
            await _drop(staged)
            raise
        if done.result is not None:
            break
    await finish(view, done.mutation_id, done.result if done.result.parents else None)
    return Relabeled(guess, done.mutation_id)


async def _drop(staged: list[Rewrite]) -> None:
    while staged:
        await staged.pop().drop()


async def blocks_with(view: View, wanted: Sequence[int]) -> Keys:
    """The packed blocks that have any of some labels, ascending."""
    found = [await find_place(view, label, supervoxel=False, limits=None) for label in wanted]
    blocks = [place.blocks for place in found if place is not None]
    return np.unique(np.concatenate(blocks)) if blocks else np.empty(0, np.uint64)


async def _rewrite(
    m: Mutation, work: Relabel, new: int, names: Keys, rewrite: Rewrite | None, limit: int | None
) -> Rows:
    """Stage the changed blocks; returns the counts to set."""
    view = m.view
    instance = check_indexed(view)
    rows: list[Rows] = []
    nbytes = 0
    for at in range(0, len(names), BATCH):
        places = triples(names[at : at + BATCH])
        found = await instance.volume(view).blocks.values(places)
        # A block that an index names and nobody stored has no voxels to change.
        row_of = {place: at + n for n, place in enumerate(places)}
        parts = [found[n : n + SHARE] for n in range(0, len(found), SHARE)]
        made = await asyncio.gather(
            *(
                view.run(
                    _changed,
                    pack_blocks(np.array([place for place, _ in part])),
                    [stored for _, stored in part],
                    work.old,
                    new,
                    None if work.pieces is None else [work.pieces[row_of[place]] for place, _ in part],
                    instance.unpack,
                )
                for part in parts
            )
        )
        for part, (stored, counts) in zip(parts, made):
            nbytes += sum(map(len, stored))
            if limit is not None and nbytes > limit:
                raise BadRequest(f"the {len(names)} blocks of this edit are more than {limit} bytes; do it in parts")
            if rewrite is not None:
                await rewrite.add([place for place, _ in part], stored)
            else:
                for (place, _), block in zip(part, stored):
                    m.put(BLOCK.key(0, place), block)
            rows.append(counts)
    return join_rows(rows) if rows else NO_ROWS


def _changed(
    names: Keys,
    stored: Sequence[bytes | memoryview],
    old: Sequence[int],
    new: int,
    pieces: Sequence[Runs] | None,
    unpack: Unpacker,
) -> tuple[list[bytes], Rows]:
    """A kernel: changed blocks, and the counts of the old labels and the new one in them."""
    out, rows = [], []
    among = np.array(old, np.uint64)
    for n, (name, data) in enumerate(zip(names, stored)):
        block = unpack(data)
        if pieces is None:
            made = labels.replace(block, dict.fromkeys(old, new), unpack.size)
        else:
            try:
                made, _ = labels.split(block, old[0], pieces[n], new, old[0], unpack.size)
            except labels.BadRuns as err:
                z, y, x = triples(names[n : n + 1])[0]
                raise BadRequest(f"block {x}, {y}, {z}: {err}") from None
        touched = np.append(np.intersect1d(labels.table(block), among), np.uint64(new))
        rows.append(counted(int(name), made, np.unique(touched[touched > 0])))
        out.append(packed(made))
    return out, join_rows(rows)


def counted(name: int, block: bytes, wanted: Labels) -> Rows:
    """A kernel: the voxels of wanted labels, ascending, in a packed block; 0 for those that it does not have."""
    have = labels.counts(block)
    places = np.minimum(np.searchsorted(have.labels, wanted), len(have.labels) - 1)
    voxels = np.where(have.labels[places] == wanted, have.voxels[places], np.uint32(0))
    return Rows(np.full(len(wanted), name, np.uint64), wanted, voxels.astype(np.uint32))


# -- blocks of others


async def stage_blocks(m: Mutation, blocks: Sequence[tuple[Triple, bytes]]) -> int:
    """Put label blocks in the place of what is there, with the indices; returns the largest label in them.

    The caller holds a lock of all bodies.
    """
    instance = check_indexed(m.view)
    keys = [BLOCK.key(0, at) for at, _ in blocks]
    old = await first_parent(m.view, BLOCK.number).get_many(keys)
    packed_names = pack_blocks(np.array([at for at, _ in blocks]))
    fresh = [block for _, block in blocks]
    stored, rows = await m.view.run(_replacing, packed_names, fresh, old, instance.unpack)
    for key, value in zip(keys, stored):
        m.put(key, value)
    if not len(rows):
        return 0
    await set_counts(m, change_of(rows.supervoxels, rows))
    return int(rows.supervoxels[rows.voxels > 0].max(initial=0))


def _replacing(
    names: Keys, fresh: Sequence[bytes], old: Sequence[bytes | None], unpack: Unpacker
) -> tuple[list[bytes], Rows]:
    """A kernel: stored forms, and the counts of all labels that the blocks have or had."""
    rows = []
    for name, block, before in zip(names, fresh, old):
        have = labels.table(block) if before is None else np.append(labels.table(block), labels.table(unpack(before)))
        rows.append(counted(int(name), block, np.unique(have[have > 0])))
    return [packed(block) for block in fresh], join_rows(rows)


class Repaint(msgspec.Struct, frozen=True):
    """A merge or split of an instance, to be done to a copy of its voxels."""

    old: tuple[int, ...]
    new: int
    blocks: frozenset[Triple]
    pieces: dict[Triple, Runs] | None
    """By block what of it; None: all voxels of the old labels."""

    def done(self, at: Triple, block: bytes, unpack: Unpacker) -> bytes:
        """A kernel: the copy's block after it; the same object when nothing in it changes.

        Voxels of pieces get the new label whatever they had.
        """
        if at not in self.blocks:
            return block
        if self.pieces is None:
            if not np.isin(labels.table(block), np.array(self.old, np.uint64)).any():
                return block
            return labels.replace(block, dict.fromkeys(self.old, self.new), unpack.size)
        runs = self.pieces.get(at)
        if runs is None:
            return block
        try:
            return labels.split(block, self.old[0], runs, self.new, self.old[0], unpack.size)[0]
        except labels.BadRuns:
            voxels = labels.decode(block, unpack.size)
            x, y, z, n = runs.astype(np.int64).T
            _, rows, width = unpack.size
            first = np.repeat((z * rows + y) * width + x - (np.cumsum(n) - n), n)
            voxels.reshape(-1)[first + np.arange(int(n.sum()))] = self.new
            return labels.encode(voxels)


async def repaint_of(view: View, event: LabelsRewritten, source: RewrittenRuns) -> Repaint:
    """What an event of `source` says."""
    old = tuple(unpack_labels(event.old).tolist())
    pieces = None
    if event.partly:
        pieces = await view.run(_by_block, await source.runs_of(event.mutation), instance_of(view).settings.block)
    return Repaint(old, event.new, frozenset(event.blocks), pieces)


def _by_block(runs: Runs, size: Triple) -> dict[Triple, Runs]:
    """A kernel: runs by the blocks that they are in."""
    at, starts, pieces = labels.runs_by_block(runs, size)
    ends = itertools.pairwise(starts.tolist())
    return {(z, y, x): pieces[a:b] for (z, y, x), (a, b) in zip(at.tolist(), ends)}
