"""Who is the admin: with a token set, and on a server that was started without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from dvid_core.testing.fixtures import RunningServer, running
from dvid_core.testing.wire import connect, http_request

ADMIN_ROUTES = [
    ("POST", "/api/repos"),
    ("GET", "/api/server/config"),
    ("GET", "/api/storage"),
    ("POST", "/api/server/settings"),
    ("POST", "/api/server/reload-auth"),
    ("POST", "/api/server/reload-blocklist"),
    ("DELETE", "/api/repo/{uuid}"),
    ("DELETE", "/api/repo/{uuid}/instance/kv"),
    ("POST", "/api/repo/{uuid}/rename"),
]

pytestmark = pytest.mark.parametrize("engine", ["memory"])


@pytest.fixture
async def tokenless(engine: str, plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[RunningServer]:
    """A server without an admin token, as `dvid serve` starts it where none is set."""
    async with running(engine, tmp_path, plugins=plugins, admin_token="") as found:
        yield found


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
@pytest.mark.parametrize(
    "token",
    [
        "",
        "?admintoken=",
        "?admintoken=Secret",
        "?admintoken=secret%20",
        "?admintoken=secret2",
        "?admintoken=wrong&admintoken=secret",
        "?ADMINTOKEN=secret",
        "?admintoken=s%C3%A9",
    ],
)
async def test_without_the_token_admin_routes_are_closed(
    server: RunningServer, method: str, path: str, token: str
) -> None:
    uuid = await server.repo()
    await server.instance(uuid, "kv")
    async with server.unchanged():
        await server.demand(method, path.format(uuid=uuid) + token, json={"from": "kv", "to": "x"}, status=400)


async def test_the_token_opens_the_admin_routes(server: RunningServer) -> None:
    assert await server.get("/api/server/config", admin=True)
    await server.get("/api/server/config?u=me&admintoken=secret&app=x")
    await server.get("/api/server/config?admintoken=%73ecret")


async def test_a_wrong_token_takes_nothing_from_ordinary_requests(server: RunningServer) -> None:
    uuid = await server.repo()
    await server.post(f"/api/node/{uuid}/note?admintoken=wrong", json={"note": "n"})
    await server.commit(uuid)
    await server.post(f"/api/node/{uuid}/note?admintoken=wrong", json={"note": "lost"}, status=400)


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_a_local_client_of_a_tokenless_server_is_its_admin(
    tokenless: RunningServer, method: str, path: str
) -> None:
    uuid = (await tokenless.post("/api/repos", json={}))["root"]
    await tokenless.instance(uuid, "kv")
    body = {"from": "kv", "to": "x", "alias": "mine"}
    await tokenless.demand(method, path.format(uuid=uuid), json=body)


@pytest.mark.parametrize("header", ["Host: evil.example", "Host: evil.example:8000", "Host: 127.0.0.1.evil.example",
                                    "Host: localhost.evil.example", "Host: 10.0.0.1", "Host: ",
                                    "Host: user@evil.example",
                                    "Origin: http://evil.example", "Origin: https://localhost.evil.example",
                                    "Origin: null",
                                    "Origin: http://127.0.0.1@evil.example", "Origin: file://",
                                    "Origin: garbage", "Host: [::1", "Origin: http://[::1"])  # fmt: skip
async def test_a_foreign_host_or_origin_is_no_local_client(tokenless: RunningServer, header: str) -> None:
    host = header.removeprefix("Host:").strip() if header.startswith("Host:") else "localhost"
    extra = () if header.startswith("Host:") else (header,)
    async with tokenless.unchanged(), connect(tokenless.url) as wire:
        await wire.send(http_request("POST", "/api/repos", b"{}", *extra, host=host))
        answer = await wire.reply()
        assert answer is not None
        assert answer.status == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST", "127.9.9.9"])
async def test_any_name_of_this_machine_is_local(tokenless: RunningServer, host: str) -> None:
    async with connect(tokenless.url) as wire:
        await wire.send(http_request("POST", "/api/repos", b"{}", f"Origin: http://{host}", host=host))
        answer = await wire.reply()
        assert answer is not None
        assert answer.status == 200, answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7"])
async def test_who_comes_through_a_proxy_is_no_local_client(tokenless: RunningServer, header: str) -> None:
    name, _, value = header.partition(": ")
    async with tokenless.unchanged():
        await tokenless.post("/api/repos", json={}, headers={name: value}, status=400)


@pytest.mark.parametrize("query", ["", "?admintoken=", "?admintoken=x"])
async def test_a_local_admin_does_not_open_committed_versions(tokenless: RunningServer, query: str) -> None:
    uuid = await tokenless.repo()
    await tokenless.instance(uuid, "kv")
    await tokenless.commit(uuid)
    async with tokenless.unchanged():
        await tokenless.post(f"/api/node/{uuid}/note{query}", json={"note": "lost"}, status=400)
        await tokenless.post(f"/api/node/{uuid}/kv/key/a{query}", b"lost", status=400)


async def test_a_tokenless_server_that_others_reach_has_no_admin(
    engine: str, plugins: Sequence[ModuleType], tmp_path: Path
) -> None:
    settings = {"http_address": "0.0.0.0:8000"}
    async with running(engine, tmp_path, plugins=plugins, admin_token="", **settings) as server:
        answer = await server.ask("POST", "/api/repos", json={})
        assert answer.status == 400
        assert "DVID_ADMIN_TOKEN" in answer.text
        assert await server.get("/api/repos/info") == {}
