"""The endpoints that tell what became of bodies, and how they came to be."""

from __future__ import annotations

import datetime
import heapq
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import numpy as np

from dvid_core import JSON, BadRequest, Reply, Uint64, View, get
from dvid_voxels.segmentation.asking import check_body
from dvid_voxels.segmentation.index import read_bodies

from .asking import labelmap_of
from .edits.journal import Entry, all_entries, entries_of, touched

FEW = 1000
"""Up to so many bodies the edits of each are looked up; of more, all edits are looked through."""

AT_ONCE = 256

PIECE = 1 << 16

FIELDS = {
    "merge-complete": ("Target", "Labels"),
    "cleave-complete": ("OrigLabel", "CleavedLabel", "CleavedSupervoxels"),
    "split-complete": ("Target", "NewLabel"),
    "split-supervoxel-complete": ("Supervoxel", "SplitSupervoxel", "RemainSupervoxel"),
}
"""What history shows of an edit; the first field says whom it concerns."""


async def get_history(view: View, label: Uint64, first: str, last: str) -> Reply:
    """The edits from version <first> to version <last> of the bodies that the supervoxels of body <label> were in.

    The supervoxels are those of <label> at <last>, the bodies those they had at <first>. Merges, cleaves and splits of
    these bodies come as JSON objects, oldest first, one directly after the other: {"Action":"merge","Target":..,
    "Labels":[..]}, {"Action":"cleave","OrigLabel":..,"CleavedLabel":..,"CleavedSupervoxels":[..]}, {"Action":"split",
    "Target":..,"NewLabel":..,"Coarse":false}; so do splits of the supervoxels: {"Action":"split-supervoxel",
    "Supervoxel":..,"SplitSupervoxel":..,"RemainSupervoxel":..}. Versions are those back along first parents. See
    lineage for all that led to a body.

        GET /api/node/3f8c/segmentation/history/23/3f8c/77d0
    """  # fmt: skip
    check_body(label)
    repos = view.instance.server.repos
    (before, begin), (repo, end) = repos.find(first), repos.find(last)
    if before is not view.instance.repo or repo is not view.instance.repo:
        raise BadRequest("history: both versions must be of the instance's repo")
    path = []
    for node in repo.dag.first_parents(end.version):
        path.append(node.uuid)
        if node is begin:
            break
    return Reply(content_type="text/plain", stream=_history(view.at(begin), view.at(end), label, path[::-1]))


async def _history(begin: View, end: View, label: int, path: list[str]) -> AsyncIterator[bytes]:
    instance = labelmap_of(end)
    body = (await read_bodies(end, [label])).get(label)
    if body is None:
        return
    supervoxels = set(body.sizes()[0].tolist())
    splits = [s for _, some in instance.state.splits_of(instance.order(end.version)) for s in some]
    for _, old, remain, split in sorted(splits, reverse=True):
        if remain in supervoxels or split in supervoxels:
            supervoxels.add(old)
    named = np.array(sorted(supervoxels), np.uint64)
    bodies = set((await end.run(labelmap_of(begin).seen(begin).bodies, named)).tolist()) - {0}
    place = {uuid: n for n, uuid in enumerate(path)}
    if not instance.versioned:
        place = {}
    found: list[tuple[int, int, bytes]] = []
    async for entries in _edits(end, bodies):
        for entry in entries:
            if instance.versioned and entry.uuid not in place:
                continue
            parts = b"".join(_told(entry, bodies, supervoxels))
            if parts:
                found.append((place.get(entry.uuid, 0), entry.mutation, parts))
    held = bytearray()
    for *_, parts in sorted(found):
        held += parts
        if len(held) > PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _edits(view: View, bodies: set[int]) -> AsyncIterator[list[Entry]]:
    """The edits that touched bodies, in some order, perhaps with others."""
    if len(bodies) > FEW:
        async for entries in all_entries(view):
            yield entries
        return
    numbers = sorted({n for body in bodies async for n in touched(view, body)})
    for at in range(0, len(numbers), AT_ONCE):
        yield await entries_of(view, numbers[at : at + AT_ONCE])


def _told(entry: Entry, bodies: set[int], supervoxels: set[int]) -> Iterator[bytes]:
    for shown in entry.shown:
        fields = FIELDS.get(shown["Action"])
        if fields is None:
            continue
        concerned = supervoxels if fields[0] == "Supervoxel" else bodies
        if shown[fields[0]] in concerned:
            told: dict[str, Any] = {"Action": shown["Action"].removesuffix("-complete")}
            told.update((name, shown[name]) for name in fields)
            if told["Action"] == "split":
                told["Coarse"] = False
            yield msgspec.json.encode(told)


async def get_lineage(view: View, label: Uint64) -> Reply:
    """How body <label> came to be: the edits that led to it, newest first, as a JSON list of records as in mutations.

    From this version back to the root, names are followed through renumberings, cleaves and merges: the edits of bodies
    that were merged into it are there, and those of the body it was cleaved from, up to that moment. A body that is
    gone has a lineage too, which begins with its end. What was undone is there, and so is the undoing.

        GET /api/node/3f8c/segmentation/lineage/23
    """
    return Reply(content_type=JSON, stream=_lineage(view, check_body(label)))


async def _lineage(view: View, label: int) -> AsyncIterator[bytes]:
    open_: dict[int, AsyncIterator[int]] = {}
    heap: list[tuple[int, int]] = []

    async def follow(name: int, until: int) -> None:
        open_[name] = touched(view, name, until)
        await step(name)

    async def step(name: int) -> None:
        number = await anext(open_[name], None)
        if number is None:
            del open_[name]
        else:
            heapq.heappush(heap, (-number, name))

    await follow(label, 2**64 - 1)
    held, sign = bytearray(b"["), b""
    while heap:
        number = -heap[0][0]
        alive: set[int] = set()
        while heap and -heap[0][0] == number:
            alive.add(heapq.heappop(heap)[1])
        before = alive
        for entry in await entries_of(view, [number]):
            for shown in entry.shown:
                held += sign + msgspec.json.encode(dated(shown, entry))
                sign = b","
            before = _before(entry, alive)
        for name in alive - before:
            open_.pop(name, None)
        for name in before & alive:
            await step(name)
        for name in before - alive:
            if name not in open_:
                await follow(name, number - 1)
        if len(held) > PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held) + b"]"


def _before(entry: Entry, names: set[int]) -> set[int]:
    """The bodies that bodies of these names consisted of before an edit."""
    out = set(names)
    for move in reversed(entry.moves):
        if move.target in out:
            out.add(move.source)
            if move.made:
                out.discard(move.target)
    return out


def dated(shown: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """What `mutations` shows of an edit."""
    time = datetime.datetime.fromtimestamp(entry.time, datetime.UTC).replace(tzinfo=None)
    return {**shown, "UUID": entry.uuid, "Timestamp": time.isoformat(timespec="microseconds") + "Z"}


ROUTES = (
    get("history/{label}/{first}/{last}", get_history),
    get("lineage/{label}", get_lineage),
)
