"""`Pairs`: a keyvalue instance seen from one version, asked over HTTP."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from dvid_messages.keyvalues import Keys, KeyValues

from dvid_core.testing import Answer, Api


def quoted(key: str) -> str:
    """A key as one part of a path; bare dots would be cleaned away."""
    return quote(key, safe="").replace(".", "%2E")


def packed(pairs: Iterable[tuple[str, bytes]]) -> bytes:
    """Pairs as a message KeyValues."""
    message = KeyValues()
    for key, value in pairs:
        message.kvs.add(key=key, value=value)
    return bytes(message.SerializeToString())


def unpacked(data: bytes) -> list[tuple[str, bytes]]:
    """The pairs of a message KeyValues."""
    return [(pair.key, pair.value) for pair in KeyValues.FromString(data).kvs]


def packed_keys(keys: Iterable[str], ranges: Iterable[tuple[str, int, int]] = ()) -> bytes:
    """A message Keys."""
    message = Keys(keys=list(keys))
    for key, first, last in ranges:
        message.key_ranges.add(key=key, byte_start=first, byte_end=last)
    return bytes(message.SerializeToString())


def untarred(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the files of a tar, whose modes must be as promised."""
    out = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert member.isreg() and member.mode == 0o755 and file is not None
            out.append((member.name, file.read()))
    return out


class Pairs:
    """What is at `/api/node/<uuid>/<name>`."""

    def __init__(self, api: Api, uuid: str, name: str) -> None:
        self.api, self.uuid, self.name = api, uuid, name

    @property
    def place(self) -> str:
        """The path of the endpoints, without a slash at the end."""
        return f"/api/node/{self.uuid}/{self.name}"

    def at(self, uuid: str) -> Pairs:
        """The same instance seen from another version."""
        return Pairs(self.api, uuid, self.name)

    async def commit(self) -> None:
        """Lock the version."""
        await self.api.commit(self.uuid)

    async def child(self, branch: str = "") -> Pairs:
        """Lock the version if need be, and see the instance from a child of it."""
        if not (await self.api.get(f"/api/node/{self.uuid}/commit"))["Locked"]:
            await self.commit()
        return self.at(await (self.api.branch(self.uuid, branch) if branch else self.api.newversion(self.uuid)))

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Any request below the instance."""
        return await self.api.ask(method, f"{self.place}/{path}", body, **options)

    async def demand(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The content of a reply with status 200, or with the one that is given."""
        return await self.api.demand(method, f"{self.place}/{path}", body, **options)

    # -- single keys

    async def put(self, key: str, value: Any) -> None:
        assert await self.demand("POST", f"key/{quoted(key)}", value) == b""

    async def delete(self, key: str) -> None:
        assert await self.demand("DELETE", f"key/{quoted(key)}") == b""

    async def get(self, key: str) -> bytes | None:
        """The value, None when there is none; HEAD must say the same."""
        path = f"key/{quoted(key)}"
        head, answer = await self.ask("HEAD", path), await self.ask("GET", path)
        assert head.status == answer.status
        assert head.body == b""
        if answer.status == 404:
            assert "not found" in answer.text
            return None
        assert answer.status == 200, answer.text
        assert head.headers["Content-Length"] == answer.headers["Content-Length"] == str(len(answer.body))
        return answer.body

    # -- many keys

    async def keys(self, first: str | None = None, last: str | None = None) -> list[str]:
        """All keys, or those of a range."""
        path = "keys" if first is None or last is None else f"keyrange/{quoted(first)}/{quoted(last)}"
        found: list[str] = await self.demand("GET", path)
        return found

    async def range_values(self, first: str, last: str) -> list[tuple[str, bytes]]:
        """The pairs of a range, as protobuf gives them."""
        return unpacked(await self.demand("GET", f"keyrangevalues/{quoted(first)}/{quoted(last)}"))

    async def values(self, keys: Iterable[str]) -> list[tuple[str, bytes]]:
        """The values of these keys, as protobuf gives them: empty for absent ones."""
        return unpacked(await self.demand("GET", "keyvalues", packed_keys(keys)))

    async def put_many(self, pairs: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        listed = pairs.items() if isinstance(pairs, Mapping) else pairs
        assert await self.demand("POST", "keyvalues", packed(listed)) == b""

    async def all(self) -> dict[str, bytes]:
        """Everything that is seen; all ways of reading must agree about it."""
        keys = await self.keys()
        assert keys == sorted(set(keys), key=str.encode)
        found = dict(await self.values(keys))
        assert list(found) == keys
        if keys:
            assert await self.keys(keys[0], keys[-1]) == keys
            assert await self.range_values(keys[0], keys[-1]) == list(found.items())
        return found

    # -- what it did

    async def log(self) -> list[dict[str, Any]]:
        """The mutation log of the version without its times, which must be there."""
        records: list[dict[str, Any]] = await self.demand("GET", "mutations")
        assert all(record.pop("Timestamp") for record in records)
        return records


async def new_pairs(api: Api, **settings: Any) -> Pairs:
    """A new instance in a new repo."""
    uuid = await api.repo()
    await api.instance(uuid, "kv", "keyvalue", **settings)
    return Pairs(api, uuid, "kv")
