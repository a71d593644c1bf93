"""`Api`: a running server as tests ask it, over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from yarl import URL

KEY_VALUE = "keyvalue"


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for background work: ask again until `check` says that it is so."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - there is no event to wait for from outside
            await asyncio.sleep(0.01)


class Answer(msgspec.Struct, frozen=True):
    """One reply, read to its end."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def content(self) -> Any:
        """What JSON says, of a reply that is declared as JSON; else the bytes."""
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        return self.json() if is_json else self.body


class Api:
    """Asks the server at `url`; paths go out as they are given, so tests write them as they are on the wire.

    `ask` takes any answer.  `get`, `post`, ... demand a status and give the content: what JSON says, or bytes.
    """

    def __init__(self, admin_token: str = "secret") -> None:
        self.url = ""
        self.admin_token = admin_token
        self._client: aiohttp.ClientSession | None = None

    @property
    def client(self) -> aiohttp.ClientSession:
        """The HTTP client, for what the helpers do not offer; it lasts until the server is stopped."""
        assert self._client is not None, "the server is not running"
        return self._client

    def _connect(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        cookies = aiohttp.DummyCookieJar()
        self._client = aiohttp.ClientSession(connector=connector, cookie_jar=cookies, auto_decompress=False)

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    # -- requests

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        json: Any = msgspec.UNSET,
        headers: Mapping[str, str] | None = None,
        admin: bool = False,
    ) -> Answer:
        """Send one request and read its reply, whatever it is; redirects are not followed.

        `json` is sent as JSON, `body` as it is (bytes, text, or an async iterable of bytes); `admin` adds the token.
        """
        if admin:
            path += f"{'&' if '?' in path else '?'}admintoken={self.admin_token}"
        data = msgspec.json.encode(json) if json is not msgspec.UNSET else body
        if isinstance(data, bytes):
            # As a file, since aiohttp warns of bytes above 1 MiB.
            data = io.BytesIO(data)
        async with self.client.request(
            method, URL(self.url + path, encoded=True), data=data, headers=headers, allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as reply:  # fmt: skip
            return Answer(reply.status, reply.headers, await reply.read())

    async def demand(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """`ask`, and the content of the reply; another status fails the test."""
        answer = await self.ask(method, path, body, **options)
        assert answer.status == status, f"{method} {path}: {answer.status}, not {status}: {answer.text[:500]}"
        return answer.content()

    async def get(self, path: str, **options: Any) -> Any:
        """The content of a GET."""
        return await self.demand("GET", path, **options)

    async def head(self, path: str, **options: Any) -> Any:
        """A HEAD; there is no content."""
        return await self.demand("HEAD", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The content of the reply to a POST."""
        return await self.demand("POST", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Any:
        """The content of the reply to a DELETE."""
        return await self.demand("DELETE", path, **options)

    # -- repos and versions

    async def repo(self, **values: str) -> str:
        """A new repo; the UUID of its root."""
        return str((await self.post("/api/repos", json=values, admin=True))["root"])

    async def instance(self, uuid: str, name: str, typename: str = KEY_VALUE, **settings: Any) -> str:
        """A new data instance; the path of its endpoints at this version, without a slash at the end."""
        await self.post(f"/api/repo/{uuid}/instance", json={"typename": typename, "dataname": name, **settings})
        return f"/api/node/{uuid}/{name}"

    async def commit(self, uuid: str, note: str = "", log: Iterable[str] = ()) -> None:
        """Lock a version."""
        await self.post(f"/api/node/{uuid}/commit", json={"note": note, "log": list(log)})

    async def newversion(self, parent: str, **values: str) -> str:
        """The next version on the same branch."""
        return str((await self.post(f"/api/node/{parent}/newversion", json=values))["child"])

    async def branch(self, parent: str, name: str, **values: str) -> str:
        """A version on a new branch."""
        return str((await self.post(f"/api/node/{parent}/branch", json={"branch": name, **values}))["child"])

    async def merge(self, *parents: str, note: str = "") -> str:
        """The open child of several locked versions of one repo."""
        body = {"mergeType": "conflict-free", "parents": parents, "note": note}
        return str((await self.post(f"/api/repo/{parents[0]}/merge", json=body))["child"])

    async def repo_info(self, uuid: str) -> Any:
        """The repo as JSON."""
        return await self.get(f"/api/repo/{uuid}/info")

    async def nodes(self, uuid: str) -> dict[str, dict[str, Any]]:
        """The versions of a repo as its info shows them, by UUID."""
        found: dict[str, dict[str, Any]] = (await self.repo_info(uuid))["DAG"]["Nodes"]
        return found

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Fail when the metadata of any repo are other at the end of the block than at its beginning."""
        before = await self.get("/api/repos/info")
        yield
        after = await self.get("/api/repos/info")
        assert after == before, "what was refused has changed something"
