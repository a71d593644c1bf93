"""`Place`: an instance of neuronjson at one version, asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from dvid_messages.keyvalues import KeyValues

from dvid_core.testing.api import Answer, Api

Fields = dict[str, Any]


class Place:
    """The instance `name` seen from the version `uuid`."""

    def __init__(self, api: Api, uuid: str, name: str = "neurons") -> None:
        self.api, self.uuid, self.name = api, uuid, name
        self.path = f"/api/node/{uuid}/{name}"

    # -- writing

    async def set(self, body: int, user: str = "ann", options: str = "", **fields: Any) -> None:
        """Post fields of one annotation; it must succeed."""
        await self.api.post(f"{self.path}/key/{body}?u={user}{options}", json={"bodyid": body, **fields})

    async def try_set(self, body: int, options: str = "?u=ann", **fields: Any) -> Answer:
        """Post fields, whatever comes of it."""
        return await self.api.ask("POST", f"{self.path}/key/{body}{options}", json={"bodyid": body, **fields})

    async def set_many(self, objects: Iterable[Mapping[str, Any]], options: str = "?u=ann") -> Answer:
        """Post several annotations at once."""
        return await self.api.ask("POST", f"{self.path}/keyvalues{options}", key_values(objects))

    async def delete(self, body: int) -> None:
        """Delete one annotation."""
        await self.api.delete(f"{self.path}/key/{body}")

    # -- reading

    async def get(self, body: int, options: str = "") -> Fields:
        """One annotation, which must be there."""
        found: Fields = await self.api.get(f"{self.path}/key/{body}{options}")
        return found

    async def all(self, options: str = "") -> list[Fields]:
        """All annotations."""
        found: list[Fields] = await self.api.get(f"{self.path}/all{options}")
        return found

    async def keys(self) -> list[int]:
        """The ids of all annotated bodies."""
        return [int(key) for key in await self.api.get(f"{self.path}/keys")]

    async def query(self, asked: Any, options: str = "") -> list[Any]:
        """What answers a query."""
        found: list[Any] = await self.api.get(f"{self.path}/query{options}", json=asked)
        return found

    async def ids(self, asked: Any) -> list[int]:
        """The ids of what answers a query."""
        return await self.query(asked, "?onlyid=true")

    async def counts(self) -> dict[str, int]:
        """How many annotations have each field."""
        found: dict[str, int] = await self.api.get(f"{self.path}/fields?counts=true")
        return found

    async def history(self, body: int, field: str = "") -> list[Fields]:
        """What was done to an annotation, or one of its fields."""
        tail = f"/{quote(field, safe='')}" if field else ""
        found: list[Fields] = await self.api.get(f"{self.path}/history/{body}{tail}")
        return found

    async def answers(self) -> dict[str, Any]:
        """What all reading endpoints say."""
        ids = await self.keys()
        wanted = [str(i) for i in [*ids, 1, 2**64 - 1]]
        base = self.path
        return {
            "keys": ids,
            "range": await self.api.get(f"{base}/keyrange/%20/~"),
            "all": await self.all("?show=all"),
            "plain": await self.all(),
            "some": await self.all("?fields=type,group_user&show=time"),
            "values": await self.api.get(f"{base}/keyvalues?json=true&show=all", json=wanted),
            "protobuf": await self.api.get(f"{base}/keyrangevalues/0/a?show=user"),
            "tar": await self.api.get(f"{base}/keyrangevalues/0/a?tar=true"),
            "single": [await self.get(i, "?show=all") for i in ids],
            "counts": await self.counts(),
            "fields": await self.api.get(f"{base}/fields"),
            "times": await self.api.get(f"{base}/fieldtimes"),
            "query": await self.query([{"type": ["a", "b"]}, {"group": "exists/1", "type_user": "re/^b"}], "?show=all"),
            "lookup": await self.query({"bodyid": ids[::-1]}),
            "export": await self.api.get(f"{base}/export?show=all"),
        }

    # -- other versions

    def at(self, uuid: str) -> Place:
        """The same instance at another version."""
        return Place(self.api, uuid, self.name)

    async def next(self) -> Place:
        """Commit this version, and go on with the next one."""
        await self.api.commit(self.uuid)
        return self.at(await self.api.newversion(self.uuid))


def key_values(objects: Iterable[Mapping[str, Any]]) -> bytes:
    """The protobuf message of these annotations."""
    message = KeyValues()
    for found in objects:
        message.kvs.add(key=str(found["bodyid"]), value=json.dumps(found).encode())
    return bytes(message.SerializeToString())


async def new_place(api: Api, name: str = "neurons", **settings: Any) -> Place:
    """A new instance in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, name, "neuronjson", **settings)
    return Place(api, uuid, name)
