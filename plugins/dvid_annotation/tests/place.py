"""`Place`: an annotation at one version, as tests ask it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dvid_annotation import Annotation

from dvid_core.testing.api import Api
from dvid_core.testing.fixtures import RunningServer

Point = tuple[int, int, int]


def element(
    pos: Sequence[int], kind: str = "Note", tags: Iterable[str] = (), prop: Mapping[str, str] = {}, rels: Any = ()
) -> dict[str, Any]:
    """An element as it is posted; `rels` are pairs of a relation and a position."""
    return {
        "Pos": list(pos), "Kind": kind, "Tags": list(tags), "Prop": dict(prop),
        "Rels": [{"Rel": rel, "To": list(to)} for rel, to in rels],
    }  # fmt: skip


def by_position(elements: Iterable[Mapping[str, Any]]) -> dict[Point, dict[str, Any]]:
    """Elements by their positions, none twice; without what has no order."""
    out: dict[Point, dict[str, Any]] = {}
    for found in elements:
        x, y, z = found["Pos"]
        assert (x, y, z) not in out, f"two elements at {found['Pos']}"
        plain = {**found, "Tags": sorted(found["Tags"])}
        if "Rels" in found:
            plain["Rels"] = sorted(found["Rels"], key=lambda rel: json.dumps(rel, sort_keys=True))
        out[x, y, z] = plain
    return out


class Place:
    """An annotation instance at one version."""

    def __init__(self, server: Api, uuid: str, name: str = "syn") -> None:
        self.server, self.uuid, self.name = server, uuid, name
        self.path = f"/api/node/{uuid}/{name}"

    def at(self, uuid: str) -> Place:
        """The same instance at another version."""
        return Place(self.server, uuid, self.name)

    async def post(self, *elements: dict[str, Any]) -> None:
        await self.server.post(f"{self.path}/elements", json.dumps(elements).encode())

    async def refused(self, method: str, endpoint: str, body: Any = None) -> str:
        """Ask what must be refused with 400; gives the reason."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = await self.server.ask(method, f"{self.path}/{endpoint}", data)
        assert answer.status == 400, f"{method} {endpoint}: {answer.status} {answer.text}"
        assert answer.text
        return answer.text

    async def delete(self, pos: Sequence[int]) -> None:
        await self.server.delete(f"{self.path}/element/{'_'.join(map(str, pos))}")

    async def move(self, start: Sequence[int], stop: Sequence[int]) -> None:
        await self.server.post(f"{self.path}/move/{'_'.join(map(str, start))}/{'_'.join(map(str, stop))}")

    async def all(self) -> dict[Point, dict[str, Any]]:
        blocks = await self.server.get(f"{self.path}/all-elements")
        return by_position(e for some in blocks.values() for e in some)

    async def blocks(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = await self.server.get(f"{self.path}/all-elements")
        return found

    async def box(self, size: Sequence[int], offset: Sequence[int]) -> dict[Point, dict[str, Any]]:
        words = ["_".join(map(str, v)) for v in (size, offset)]
        return by_position(await self.server.get(f"{self.path}/elements/{words[0]}/{words[1]}"))

    async def label(self, label: int, options: str = "") -> dict[Point, dict[str, Any]]:
        return by_position(await self.server.get(f"{self.path}/label/{label}{options}"))

    async def tag(self, tag: str, options: str = "") -> dict[Point, dict[str, Any]]:
        return by_position(await self.server.get(f"{self.path}/tag/{quote(tag, safe='')}{options}"))

    async def reload(self) -> None:
        """Reload, and wait until it is done."""
        await self.server.post(f"{self.path}/reload")
        await self.idle()
        status = await self.server.get(f"{self.path}/reload-status")
        assert status["State"] == "done", status

    async def idle(self) -> None:
        """Wait until all events are handled."""
        assert isinstance(self.server, RunningServer)
        repo, _ = self.server.server.repos.find(self.uuid)
        instance = repo.instance(self.name)
        assert isinstance(instance, Annotation)
        await self.server.server.bus.idle(instance.id)
        await instance.works.idle()


async def new_place(server: Api, **settings: Any) -> Place:
    """An empty annotation at the root of a new repo."""
    uuid = await server.repo()
    await server.instance(uuid, "syn", "annotation", **settings)
    return Place(server, uuid)
