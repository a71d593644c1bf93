"""`Session`: random edits of one labelmap, made on a server and on the model."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from dvid_core.testing.fixtures import RunningServer

from ..segmentation import SIDE, Segmentation, cells, field, label_index, mapping_ops
from ..sparse_volumes import runs_of_mask
from .checks import Checks
from .model import BLOCKS, LOW, SCALES, SHAPE, Array, Triple, Version, joined, low

FIRST = 40
"""The largest supervoxel of the volume at the beginning is below."""


def volume(seed: int) -> Array:
    """The voxels at the beginning: some labels everywhere, others in one corner of blocks."""
    out = cells(SHAPE, seed, first=1, count=8)
    half = cells(SHAPE, seed + 1, first=9, count=12, zeros=0.3)
    out[:, :SIDE], half[:, SIDE:] = half[:, :SIDE], 0
    out[:, :, SHAPE[2] // 2 :][out[:, :, SHAPE[2] // 2 :] > 0] += 20
    return out


class Session:
    """One sequence; `trace` says what was done."""

    def __init__(self, server: RunningServer, seed: int) -> None:
        self.server, self.rng = server, random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.seed = seed
        self.versions: list[Version] = []
        self.used: set[int] = set()
        """All labels that ever named anything."""
        self.sides: tuple[Version, Version] | None = None
        """The heads of two branches that are to be merged, so that they must change different things."""
        self.forks = 0
        self.edits: list[tuple[int, Callable[[Version], None]]] = []
        """Edits of the version `edited`, its last ones, that can be undone: a body of each, and the way back."""
        self.edited: Version | None = None
        self.trace: list[str] = []

    def note(self, text: str) -> None:
        self.trace.append(text)

    async def begin(self) -> None:
        """The volume, written in one of several ways."""
        uuid = await self.server.repo()
        await self.server.instance(uuid, "seg", "labelmap", BlockSize="16,16,16", MaxDownresLevel=str(SCALES - 1))
        scales = [np.zeros([s >> n for s in SHAPE], np.uint64) for n in range(SCALES)]
        root = Version(uuid, scales)
        self.versions.append(root)
        await self.store(root, (0, 0, 0), volume(self.seed))

    def seg(self, version: Version) -> Segmentation:
        return Segmentation(self.server, version.uuid)

    async def check(self, version: Version, bodies: int | None = 3) -> None:
        """Demand that the server and the model agree."""
        await Checks(self.server, version, self.rng).all(bodies)

    # -- steps

    async def step(self) -> Version:
        """A random one; the version that it was made at."""
        open_ = [v for v in self.versions if not v.locked]
        version = self.rng.choice(open_)
        steps: list[tuple[int, Callable[[Version], Awaitable[None]]]] = [
            (5, self.write), (2, self.write_noindexing), (5, self.merge), (5, self.cleave), (5, self.split),
            (2, self.split_body), (4, self.renumber), (2, self.map_fresh), (1, self.post_index), (2, self.refused),
            (3, self.undo), (2, self.next_version), (2, self.fork), (3, self.join), (2, self.restart),
        ]  # fmt: skip
        [(_, chosen)] = self.rng.choices(steps, [weight for weight, _ in steps])
        await chosen(version)
        return next(v for v in self.versions if not v.locked) if version.locked else version

    def free(self, version: Version, *keys: tuple[Any, ...]) -> bool:
        """Whether these may be changed: not when the other branch has changed them."""
        if self.sides is None or version not in self.sides:
            return True
        other = self.sides[1] if version is self.sides[0] else self.sides[0]
        return not other.changed & set(keys)

    def fresh(self, *others: int) -> int:
        """A label that was never used, larger than all that were; whoever uses it says so."""
        return max(*self.used, 0, *others) + self.rng.randint(1, 3)

    def new(self, label: int) -> int:
        """A label that the server chose; it must be new."""
        assert label not in self.used, f"label {label} was given out before"
        self.used.add(label)
        return label

    # -- voxels

    def painted(self, version: Version) -> tuple[Triple, Array, list[tuple[Any, ...]]]:
        """New voxels for a box of blocks: its first block, the voxels, what changes."""
        size = [self.rng.randint(1, n) for n in BLOCKS]
        first = [self.rng.randrange(n - s + 1) for n, s in zip(BLOCKS, size)]
        where = tuple(slice(SIDE * a, SIDE * (a + s)) for a, s in zip(first, size))
        old = version.scales[0][where]
        voxels = old.copy()
        living = sorted(version.supervoxels())
        mapped = [n for n, body in version.mapping.items() if body]
        for _ in range(self.rng.randint(1, 4)):
            kind = self.rng.random()
            label = (
                0 if kind < 0.2 else self.fresh(int(voxels.max())) if kind < 0.5 else self.rng.choice(living + mapped)
            )
            box = [sorted(self.rng.randrange(s + 1) for _ in "ab") for s in voxels.shape]
            voxels[tuple(slice(a, b) for a, b in box)] = label
        if self.rng.random() < 0.2:
            # All of a supervoxel becomes another, or background.
            gone = self.rng.choice(np.unique(voxels).tolist())
            voxels[voxels == gone] = self.rng.choice([0, *living])
        if not voxels.any():
            voxels[0, 0, 0] = living[0]
        bodies = {version.body(n) for n in np.unique(np.concatenate([old.ravel(), voxels.ravel()])).tolist()} - {0}
        blocks = [tuple(f + n for f, n in zip(first, at)) for at in np.ndindex(*size)]
        keys: list[tuple[Any, ...]] = [("body", b) for b in bodies] + [("block", 0, *at) for at in blocks]
        for at in blocks:
            keys += [("scale", n, *((a + b) >> n for a, b in zip(at, LOW))) for n in range(1, SCALES)]
        return tuple(first), voxels, keys  # type: ignore[return-value]

    async def store(self, version: Version, first: Triple, voxels: Array) -> None:
        """POST raw or blocks."""
        seg = self.seg(version)
        way = self.rng.choice(["raw", "raw mutate", "blocks", "blocks mutate", "blocks without scales"])
        self.note(f"write {way} {first} {voxels.shape}")
        self.edits = []
        mutate = "mutate=true" if "mutate" in way else "mutate=false"
        if way.startswith("raw"):
            await seg.put(tuple(a * SIDE + b for a, b in zip(first, low())), voxels, f"?{mutate}")  # type: ignore[arg-type]
        else:
            down = "" if "without" in way else "&downres=true"
            await seg.post_blocks(tuple(a + b for a, b in zip(first, LOW)), voxels, f"?{mutate}{down}")  # type: ignore[arg-type]
        version.write(first, voxels, "without" not in way)
        self.used |= set(np.unique(voxels).tolist())

    async def write(self, version: Version) -> None:
        """Voxels over others."""
        first, voxels, keys = self.painted(version)
        if self.free(version, *keys):
            version.changed |= set(keys)
            await self.store(version, first, voxels)

    async def write_noindexing(self, version: Version) -> None:
        """Voxels without indices, which are posted afterwards."""
        first, voxels, keys = self.painted(version)
        if not self.free(version, *keys):
            return
        version.changed |= set(keys)
        self.note(f"write noindexing {first} {voxels.shape}")
        self.edits = []
        block: Triple = (first[0] + LOW[0], first[1] + LOW[1], first[2] + LOW[2])
        before = version.indices()
        await self.seg(version).post_blocks(block, voxels, "?noindexing=true&downres=true")
        version.write(first, voxels, True)
        self.used |= set(np.unique(voxels).tolist())
        after = version.indices()
        changed = {b: after.get(b, {}) for b in {*before, *after} if before.get(b) != after.get(b)}
        await self.put_indices(version, changed)

    async def put_indices(self, version: Version, indices: dict[int, Any]) -> None:
        """POST index for each, or POST indices."""
        seg = self.seg(version)
        if self.rng.random() < 0.5:
            for body, index in indices.items():
                await self.server.post(f"{seg.place}/index/{body}", label_index(body, index))
        elif indices:
            body_ = b"".join(field(1, label_index(body, index)) for body, index in indices.items())
            await self.server.post(f"{seg.place}/indices", body_)

    async def post_index(self, version: Version) -> None:
        """An index as it is."""
        indices = version.indices()
        chosen = self.rng.sample(sorted(indices), min(2, len(indices)))
        if self.free(version, *(("body", b) for b in chosen)):
            self.note(f"post indices {chosen}")
            self.edits = []
            version.touch(*chosen)
            await self.put_indices(version, {b: indices[b] for b in chosen})

    # -- bodies

    async def merge(self, version: Version) -> None:
        members = version.members()
        if len(members) < 3:
            return
        target, *merged = self.rng.sample(sorted(members), self.rng.randint(2, min(4, len(members))))
        keys = [("body", b) for b in (target, *merged)] + [("entry", s) for b in merged for s in members[b]]
        if not self.free(version, *keys):
            return
        self.note(f"merge {[target, *merged]}")
        await self.server.demand("POST", f"{self.seg(version).place}/merge", json=[target, *merged, merged[0]])
        version.merge(target, merged)

        def back(at: Version) -> None:
            for body in merged:
                at.give_back(body, list(members[body]))

        self.keep(version, target, back)

    async def cleave(self, version: Version) -> None:
        members = version.members()
        large = [b for b, own in members.items() if len(own) > 1]
        if not large:
            return
        body = self.rng.choice(large)
        own = sorted(members[body])
        gone = self.rng.sample(own, self.rng.randint(1, len(own) - 1))
        if not self.free(version, ("body", body), *(("entry", s) for s in gone)):
            return
        self.note(f"cleave {body} {gone}")
        answer = await self.server.demand("POST", f"{self.seg(version).place}/cleave/{body}", json=gone)
        cleaved = self.new(answer["CleavedLabel"])
        version.cleave(body, gone, cleaved)
        self.keep(version, self.rng.choice([body, cleaved]), lambda at: at.give_back(body, gone))

    def shape(self, mask: Array) -> Array:
        """Some of the voxels of a mask, not all."""
        inside = np.zeros(mask.shape, bool)
        if self.rng.random() < 0.5:
            box = [sorted(self.rng.randrange(s + 1) for _ in "ab") for s in mask.shape]
            inside[tuple(slice(a, b) for a, b in box)] = True
        else:
            inside[:] = self.np.random(mask.shape) < self.rng.random()
        inside &= mask
        points = np.argwhere(mask)
        if not inside.any():
            inside[tuple(points[0])] = True
        if inside.sum() == len(points):
            inside[tuple(points[-1])] = False
        return inside

    async def split(self, version: Version) -> None:
        found = [n for n, voxels in version.supervoxels().items() if voxels > 1]
        supervoxel = self.rng.choice(found)
        mask = version.scales[0] == supervoxel
        inside = self.shape(mask)
        body = version.body(supervoxel)
        if not self.free(version, ("body", body), ("entry", supervoxel), *self.keys_under(version, mask)):
            return
        options = []
        names: dict[str, int] = {}
        for name in ("split", "remain"):
            if self.rng.random() < 0.3:
                names[name] = self.fresh(*names.values())
                options.append(f"{name}={names[name]}")
        downres = self.rng.random() < 0.8
        options.append(f"downres={str(downres).lower()}")
        self.note(f"split {supervoxel} {int(inside.sum())} of {int(mask.sum())} {options}")
        answer = await self.server.post(
            f"{self.seg(version).place}/split-supervoxel/{supervoxel}?{'&'.join(options)}", runs_of_mask(inside, low())
        )
        split, remain = answer["SplitSupervoxel"], answer["RemainSupervoxel"]
        assert split != remain, f"both parts are {split}"
        for name, label in (("split", split), ("remain", remain)):
            assert names.get(name, label) == label
            self.new(label)
        version.split(supervoxel, inside, split, remain, answer["MutationID"])
        if downres:
            version.follow(version.blocks_of(mask))

        def back(at: Version) -> None:
            blocks = at.blocks_of(at.mend(supervoxel, split, remain, body, answer["MutationID"]))
            at.touch(body)
            if downres:
                at.follow(blocks)

        self.keep(version, body, back)

    def keys_under(self, version: Version, mask: Array) -> list[tuple[Any, ...]]:
        keys: list[tuple[Any, ...]] = []
        for at in version.blocks_of(mask):
            keys.append(("block", 0, *at))
            keys += [("scale", n, *((a + b) >> n for a, b in zip(at, LOW))) for n in range(1, SCALES)]
        return keys

    async def split_body(self, version: Version) -> None:
        members = version.members()
        body = self.rng.choice([b for b, own in members.items() if sum(own.values()) > 1])
        mask = version.bodies() == body
        inside = self.shape(mask)
        cut: list[int] = np.unique(version.scales[0][inside]).tolist()
        whole = np.isin(version.scales[0], cut)
        if not self.free(version, ("body", body), *(("entry", s) for s in cut), *self.keys_under(version, whole)):
            return
        self.note(f"split body {body} {int(inside.sum())} of {int(mask.sum())} through {cut}")
        place = self.seg(version).place
        answer = await self.server.post(f"{place}/split/{body}", runs_of_mask(inside, low()))
        new = self.new(answer["label"])
        told = await self.server.get(f"{place}/supervoxel-splits")
        made = [s for s in dict(zip(told[::2], told[1::2]))[version.uuid] if s[0] == answer["MutationID"]]
        assert sorted(s[1] for s in made) == sorted(cut)
        blocks = version.blocks_of(whole)
        for mutation, supervoxel, remain, split in made:
            version.split(supervoxel, inside, self.new(split), self.new(remain), mutation)
            version.map(split, new)
        version.retire(new)
        version.touch(new)
        version.follow(blocks)

        def back(at: Version) -> None:
            for mutation, supervoxel, remain, split in made:
                at.mend(supervoxel, split, remain, body, mutation)
            at.touch(body, new)
            at.follow(blocks)

        self.keep(version, self.rng.choice([body, new]), back)

    async def renumber(self, version: Version) -> None:
        pairs: list[tuple[int, int]] = []
        names = set(version.members())
        for _ in range(self.rng.randint(1, 3)):
            old = self.rng.choice(sorted(names))
            # Also names of supervoxels, retired or living, and of bodies that went before in this list.
            known = sorted(self.used - names - {0})
            new = self.rng.choice(known) if known and self.rng.random() < 0.7 else self.fresh(*names)
            pairs.append((new, old))
            names = (names - {old}) | {new}
        draft = version.child("draft")
        draft.changed = set()
        for new, old in pairs:
            draft.renumber(new, old)
        if not self.free(version, *draft.changed):
            return
        self.note(f"renumber {pairs}")
        await self.server.demand("POST", f"{self.seg(version).place}/renumber", json=[n for p in pairs for n in p])
        steps = []
        for new, old in pairs:
            steps.append((old, list(version.members()[old])))
            version.renumber(new, old)
            self.used.add(new)

        def back(at: Version) -> None:
            for old, supervoxels in reversed(steps):
                at.give_back(old, supervoxels)

        self.keep(version, pairs[-1][0], back)

    def keep(self, version: Version, body: int, back: Callable[[Version], None]) -> None:
        """Note the way back from an edit."""
        if version is not self.edited:
            self.edits, self.edited = [], version
        self.edits.append((body, back))

    async def undo(self, version: Version) -> None:
        """Undo the last edit."""
        if version is not self.edited or not self.edits:
            return
        body, back = self.edits.pop()
        self.note(f"undo {body}")
        await self.server.post(f"{self.seg(version).place}/undo/{body}")
        back(version)

    async def map_fresh(self, version: Version) -> None:
        """A mapping of supervoxels that nobody wrote yet, to a body or to a name of their own."""
        count = self.rng.randint(1, 3)
        place = self.seg(version).place
        given = await self.server.post(f"{place}/nextlabel/{count + 1}")
        labels = [self.new(n) for n in range(given["start"], given["end"] + 1)]
        body = self.rng.choice([*version.members(), labels[-1]])
        if not self.free(version, ("body", body)):
            return
        self.note(f"map {labels[:-1]} to {body}")
        self.edits = []
        await self.server.post(f"{place}/mappings", mapping_ops((body, labels[:-1])))
        for label in labels[:-1]:
            version.map(label, body)

    async def refused(self, version: Version) -> None:
        """Requests that must change nothing; the next check would see it."""
        members, seg = version.members(), self.seg(version)
        body = self.rng.choice(sorted(members))
        nobody = next(n for n in range(1, 10**6) if n not in members)
        supervoxel = self.rng.choice(sorted(version.supervoxels()))
        mask = version.scales[0] == supervoxel
        foreign = self.rng.choice([s for s in version.supervoxels() if version.body(s) != body] or [0])
        retired = next((n for n, b in version.mapping.items() if not b), 0)
        cases: list[tuple[str, Any]] = [
            ("merge", [body, nobody]), ("merge", [nobody, body]), ("merge", [body, body]), ("merge", [body, 0]),
            (f"cleave/{body}", sorted(members[body])), (f"cleave/{body}", [foreign]), (f"cleave/{body}", []),
            (f"cleave/{nobody}", [supervoxel]),
            ("renumber", [nobody, body, body]), ("renumber", [body, body]), ("renumber", [nobody + 10**7, nobody]),
            ("renumber", [10**8, body, 10**8, max(members)]), ("renumber", [0, body]),
            (f"split-supervoxel/{supervoxel}", runs_of_mask(mask, low())),
            (f"split-supervoxel/{supervoxel}", runs_of_mask(np.roll(mask, 1, axis=2), low())[:-4]),
            (f"split-supervoxel/{retired}", runs_of_mask(mask, low())),
            (f"split-supervoxel/{supervoxel}?split={supervoxel}", runs_of_mask(self.shape(mask), low())),
            (f"split-supervoxel/{supervoxel}?split=99999999&remain=99999999", runs_of_mask(self.shape(mask), low())),
            (f"split/{body}", runs_of_mask(version.bodies() == body, low())),
        ]  # fmt: skip
        if (~mask & (version.scales[0] > 0)).any():
            outside = mask | (self.np.random(mask.shape) < 0.001)
            cases.append((f"split-supervoxel/{supervoxel}", runs_of_mask(outside, low())))
        for path, content in self.rng.sample(cases, 3):
            self.note(f"refused {path} {content if isinstance(content, list) else ''}")
            options = {"body": content} if isinstance(content, bytes) else {"json": content}
            answer = await self.server.ask("POST", f"{seg.place}/{path}", **options)  # type: ignore[arg-type]
            assert answer.status == 400, f"{path}: {answer.status} {answer.text[:200]}"

    # -- versions

    async def next_version(self, version: Version) -> None:
        self.note(f"next version of {version.uuid[:4]}")
        await self.lock(version)
        child = version.child(await self.server.newversion(version.uuid))
        self.versions.append(child)
        if version is self.edited:
            self.edited = child
        if self.sides is not None:
            self.sides = tuple(child if v is version else v for v in self.sides)  # type: ignore[assignment]

    async def lock(self, version: Version) -> None:
        await self.server.commit(version.uuid)
        version.locked = True

    async def fork(self, version: Version) -> None:
        """Two branches; sometimes they will be merged."""
        if self.forks == 2 or self.sides is not None:
            return
        self.forks += 1
        merging = self.rng.random() < 0.7
        self.note(f"fork {version.uuid[:4]}{' to be merged' if merging else ''}")
        await self.lock(version)
        sides = (
            version.child(await self.server.newversion(version.uuid)),
            version.child(await self.server.branch(version.uuid, f"side-{self.forks}")),
        )
        for side in sides:
            side.changed = set()
        self.versions += sides
        self.edits = []
        self.sides = sides if merging else None

    async def join(self, version: Version) -> None:
        """Merge the branches of a fork."""
        if self.sides is None:
            return
        first, second = self.rng.sample(self.sides, 2)
        self.note(f"join {first.uuid[:4]} {second.uuid[:4]}")
        await self.lock(first)
        await self.lock(second)
        self.versions.append(joined(await self.server.merge(first.uuid, second.uuid), first, second))
        self.sides = None

    async def restart(self, version: Version) -> None:
        self.note("restart")
        await self.server.restart()
