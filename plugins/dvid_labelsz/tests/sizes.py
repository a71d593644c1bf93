"""`Sizes`: an instance of labelsz and the annotations that feed it, at one version, beside a plain model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dvid_core.testing.fixtures import Answer, RunningServer

SYNAPTIC = ("PostSyn", "PreSyn", "Gap")
KINDS = (*SYNAPTIC, "Note", "Unknown")
ASKED = (*SYNAPTIC, "Note", "AllSyn", "Voxels")

Element = tuple[int, int, int, int, str]
"""x, y, z, label, kind."""


class Sizes:
    """The instance `sz` and its annotations `syn` and `more` at a version, beside what it should count."""

    def __init__(self, server: RunningServer, uuid: str, sources: dict[str, dict[Any, Any]] | None = None) -> None:
        self.server, self.uuid = server, uuid
        self.sources: dict[str, dict[tuple[int, int, int], tuple[int, str]]] = sources or {"syn": {}, "more": {}}
        """Place -> label, kind."""

    def path(self, end: str) -> str:
        return f"/api/node/{self.uuid}/sz/{end}"

    async def put(self, elements: Iterable[Element], source: str = "syn") -> None:
        found = list(elements)
        await self.server.post(f"/api/node/{self.uuid}/{source}/put", json=found)
        for x, y, z, label, kind in found:
            self.sources[source][x, y, z] = label, kind
            if not label:
                del self.sources[source][x, y, z]

    async def settled(self) -> None:
        """Return when all events are handled."""
        await self.server.server.bus.idle()

    async def ask(self, method: str, end: str, body: Any = None, **options: Any) -> Answer:
        return await self.server.ask(method, self.path(end), body, **options)

    async def top(self, kind: str, n: int = 2**32 - 1) -> list[tuple[int, int]]:
        return _pairs(await self.server.get(self.path(f"top/{n}/{kind}")))

    async def threshold(self, kind: str, count: int, query: str = "") -> list[tuple[int, int]]:
        return _pairs(await self.server.get(self.path(f"threshold/{count}/{kind}{query}")))

    async def count(self, label: int, kind: str) -> int:
        found = await self.server.get(self.path(f"count/{label}/{kind}"))
        assert found.keys() == {"Label", kind} and found["Label"] == label
        return int(found[kind])

    async def counts(self, labels: Sequence[int], kind: str) -> list[int]:
        found = await self.server.get(self.path(f"counts/{kind}"), json=labels)
        assert [row["Label"] for row in found] == list(labels)
        return [row[kind] for row in found]

    async def reload(self) -> None:
        """Reload, and return when it is done."""
        await self.server.post(self.path("reload"))
        await self.reloaded()

    async def reloaded(self) -> None:
        root = self.server.server.repos.find(self.uuid)[0]
        for task in list(root.instance("sz")._reloads.values()):  # type: ignore[attr-defined]
            await task

    async def child(self, branch: str = "") -> Sizes:
        """The next version, or one on a branch; this one is committed."""
        node = (await self.server.nodes(self.uuid))[self.uuid]
        if not node["Locked"]:
            await self.server.commit(self.uuid)
        uuid = await (self.server.branch(self.uuid, branch) if branch else self.server.newversion(self.uuid))
        return Sizes(self.server, uuid, {name: dict(found) for name, found in self.sources.items()})

    # -- the model

    def ranked(self, kind: str, inside: Any = None) -> list[tuple[int, int]]:
        """What `top` should give."""
        counter: Counter[int] = Counter()
        for elements in self.sources.values():
            for place, (label, own) in elements.items():
                if (inside is None or inside(place)) and (own == kind or (kind == "AllSyn" and own in SYNAPTIC)):
                    counter[label] += 1
        return sorted(counter.items(), key=lambda row: (-row[1], row[0]))

    async def check(self, inside: Any = None) -> None:
        """All answers are those of the model."""
        await self.settled()
        await self.reloaded()
        for kind in ASKED:
            wanted = self.ranked(kind, inside)
            assert await self.top(kind) == wanted, kind
            labels = sorted({label for label, _ in self.ranked("AllSyn")} | {1, 999})
            assert await self.counts(labels, kind) == [dict(wanted).get(label, 0) for label in labels], kind
            for label in labels[:3]:
                assert await self.count(label, kind) == dict(wanted).get(label, 0)


def _pairs(rows: list[dict[str, int]]) -> list[tuple[int, int]]:
    assert all(row.keys() == {"Label", "Size"} for row in rows)
    return [(row["Label"], row["Size"]) for row in rows]


async def new_sizes(server: RunningServer, sync: str = "syn,more", **settings: str) -> Sizes:
    uuid = await server.repo()
    for name in ("syn", "more"):
        await server.instance(uuid, name, "points")
    place = await server.instance(uuid, "sz", "labelsz", **settings)
    if sync:
        await server.post(f"{place}/sync", json={"sync": sync})
    return Sizes(server, uuid)
