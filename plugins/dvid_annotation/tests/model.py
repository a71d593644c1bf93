"""A plain model of an annotation over slabs of labels, and a machine that does the same to both."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dvid_annotation import Annotation

from dvid_core import View
from dvid_core.testing.fixtures import RunningServer
from dvid_voxels.annotation_events import KINDS, ElementsFiled, FiledElements, unpack_changes

from .labels import WIDTH, Tables, _done
from .place import Place, Point, by_position, element

GATE = -1
"""A lock that handling of events needs in these tests, so that they can hold it back."""

BRICK = 64
KINDS_OF_STEPS = (*["post"] * 3, "move", "delete", "merge", "cleave", "renumber", "map", "split", "write")
TAGS = ("a", "b", "ü/x", "user:ann")


class Model:
    """The elements of one version by position, and the labels."""

    def __init__(self) -> None:
        self.elements: dict[Point, dict[str, Any]] = {}
        self.tables = Tables(None)

    def copy(self) -> Model:
        return copy.deepcopy(self)

    def post(self, elements: list[dict[str, Any]]) -> None:
        self.elements.update((tuple(e["Pos"]), copy.deepcopy(e)) for e in elements)

    def _near(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        places = [found["Pos"], *(rel["To"] for rel in found["Rels"])]
        bricks = {tuple(n // BRICK for n in place) for place in places}
        return [e for p, e in self.elements.items() if tuple(n // BRICK for n in p) in bricks]

    def delete(self, pos: Point) -> None:
        for other in self._near(self.elements[pos]):
            other["Rels"] = [rel for rel in other["Rels"] if tuple(rel["To"]) != pos]
        del self.elements[pos]

    def move(self, start: Point, stop: Point) -> None:
        for other in self._near(self.elements[start]):
            for rel in other["Rels"]:
                if tuple(rel["To"]) == start:
                    rel["To"] = list(stop)
        found = self.elements.pop(start)
        self.elements[stop] = {**found, "Pos": list(stop)}

    def body(self, pos: Point) -> int:
        supervoxel = self.tables.supervoxel(pos[0])
        return self.tables.body(supervoxel) if supervoxel else 0

    def labels(self) -> dict[int, dict[Point, Any]]:
        out: dict[int, dict[Point, Any]] = {}
        for pos, found in self.elements.items():
            if body := self.body(pos):
                out.setdefault(body, {})[pos] = found
        return out


def bare(elements: dict[Point, Any]) -> dict[Point, Any]:
    """Elements as lists show them without relationships."""
    return by_position({k: v for k, v in e.items() if k != "Rels"} for e in elements.values())


class Machine:
    """Does random things to an annotation and to the model, and compares them."""

    def __init__(self, server: RunningServer, place: Place, seed: int, wide: int = 12) -> None:
        self.server, self.place = server, place
        self.random = random.Random(seed)
        self.model = Model()
        self.past: list[tuple[Place, Model]] = []
        self.wide = wide
        self.names: set[int] = set()

    def pos(self) -> Point:
        r = self.random
        return r.randrange(-5, self.wide * WIDTH), r.randrange(-70, 70, 7), r.randrange(0, 200, 50)

    def element(self) -> dict[str, Any]:
        r = self.random
        known = list(self.model.elements) or [(1, 2, 3)]
        rels = [("PreSynTo", r.choice(known)) for _ in range(r.randrange(3))]
        tags = r.sample(TAGS, r.randrange(len(TAGS)))
        return element(self.pos(), r.choice(KINDS), tags, {"n": str(r.random())}, rels)

    async def step(self) -> None:
        r = self.random
        known = list(self.model.elements)
        kind = r.choice(
            ["post", "post", "post", "move", "delete", "merge", "cleave", "renumber", "map", "split", "write"]
        )
        if kind == "post":
            drawn = [self.element() for _ in range(r.choice([1, 1, 3, 20]))]
            elements = list({tuple(e["Pos"]): e for e in drawn}.values())
            await self.place.post(*elements)
            self.model.post(elements)
        elif kind == "delete" and known:
            pos = r.choice(known)
            await self.place.delete(pos)
            self.model.delete(pos)
        elif kind == "move" and known:
            start, stop = r.choice(known), self.pos()
            if stop in self.model.elements:
                return
            await self.place.move(start, stop)
            self.model.move(start, stop)
        elif kind not in ("post", "delete", "move"):
            await self.label_edit(kind)

    async def label_edit(self, op: str) -> None:
        r, tables = self.random, self.model.tables
        bodies = sorted({tables.body(s) for s in tables.all()} - {0})
        supervoxels = sorted(tables.all())
        if op == "merge":
            numbers = r.sample(bodies, min(len(bodies), r.randrange(2, 4)))
        elif op == "cleave":
            body = r.choice(bodies)
            numbers = [body, *r.sample(tables.of(body), r.randrange(1, len(tables.of(body)) + 1))]
            if len(numbers) - 1 == len(tables.of(body)):
                return
        elif op == "renumber":
            old = r.choice(bodies)
            free = sorted(self.names - set(bodies)) or [tables.next + 500]
            numbers = [r.choice(free), old]  # often a name that was in use before
            if r.random() < 0.3 and len(bodies) > 1:
                other = r.choice([b for b in bodies if b != old])
                numbers += [old, other]
        elif op == "map":
            numbers = [n for s in r.sample(supervoxels, 2) for n in (s, r.choice(bodies))]
        elif op == "split":
            numbers = [r.randrange(1, self.wide)]
            if not tables.supervoxel(numbers[0] * WIDTH):
                return
        else:
            numbers = [r.randrange(0, self.wide), r.choice([0, *supervoxels[: self.wide]])]
        self.names.update(bodies)
        await self.server.post(f"/api/node/{self.place.uuid}/seg/{op}", json=numbers)
        _done(tables, op, numbers)

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[None]:
        """Events are not handled meanwhile."""
        async with self.server.server.locks.hold(exclusive=[(self.instance.id, GATE)]):
            yield

    @property
    def instance(self) -> Annotation:
        repo, _ = self.server.server.repos.find(self.place.uuid)
        found = repo.instance(self.place.name)
        assert isinstance(found, Annotation)
        return found

    async def next_version(self) -> None:
        self.past.append((self.place, self.model.copy()))
        await self.server.commit(self.place.uuid)
        self.place = self.place.at(await self.server.newversion(self.place.uuid))

    async def check(self) -> None:
        """All views of all versions agree with the model."""
        await self.place.idle()
        for place, model in [*self.past, (self.place, self.model)]:
            await agrees(place, model)
        await self.check_events()

    async def check_events(self) -> None:
        """What followers were told adds up to what is listed."""
        told: Counter[tuple[Any, ...]] = Counter()
        for version in sorted(self.instance.logged_versions()):
            async for _, record in self.instance.records(version):
                for event in record.events_of((ElementsFiled,)):
                    assert isinstance(event, ElementsFiled)
                    for label, at, kind, change in unpack_changes(event.changes).tolist():
                        told[label, tuple(at), kind] += change
            node = self.instance.repo.dag.nodes[version]
            offered = self.instance.offer(FiledElements, View(self.instance, node))
            assert offered is not None
            listed: Counter[tuple[Any, ...]] = Counter()
            async for page in offered.pages():
                for label, at, kind, change in page.tolist():
                    listed[label, tuple(at), kind] += change
            assert {k: n for k, n in told.items() if n} == listed


async def agrees(place: Place, model: Model) -> None:
    """The views of one version are those of the model."""
    assert await place.all() == by_position(model.elements.values())
    size, offset = (70, 90, 120), (-3, -40, 40)
    inside = [e for p, e in model.elements.items() if all(o <= n < o + s for n, o, s in zip(p, offset, size))]
    assert await place.box(size, offset) == by_position(inside)
    for tag in TAGS:
        wanted = {p: e for p, e in model.elements.items() if tag in e["Tags"]}
        assert await place.tag(tag) == bare(wanted), tag
        assert await place.tag(tag, "?relationships=true") == by_position(wanted.values())
    lists = model.labels()
    for label in {*lists, *range(1, 14), *range(1000, model.tables.next + 1)}:
        wanted = lists.get(label, {})
        assert await place.label(label) == bare(wanted), label
        assert await place.label(label, "?relationships=true") == by_position(wanted.values())
