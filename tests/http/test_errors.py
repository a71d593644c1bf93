"""What happens when the server itself is at fault."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dvid_core.errors import StoreInUse, UnknownOutcome
from dvid_core.testing.fixtures import RunningServer, running
from dvid_core.testing.wire import connect

pytestmark = pytest.mark.parametrize("engine", ["memory"])

HEADERS = (
    "Origin", "Host", "X-Forwarded-For", "Forwarded", "Range", "Expect", "Access-Control-Request-Headers",
    "Content-Type", "Cookie", "Authorization", "Accept-Encoding", "User-Agent",
)  # fmt: skip


def broken(*args: Any, **options: Any) -> Any:
    raise RuntimeError("a secret of the inside")


async def test_a_fault_is_a_500_with_the_number_that_the_log_has(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.server.repos, "create", broken)
    answer = await server.ask("POST", "/api/repos", json={}, admin=True)
    assert answer.status == 500
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "inside" not in answer.text
    (number,) = re.findall(r"\b[0-9a-f]{8}\b", answer.text)
    assert number in caplog.text and "a secret of the inside" in caplog.text
    monkeypatch.undo()
    assert await server.repo()


async def test_the_admin_token_is_never_logged(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = f"admintoken={server.admin_token}"
    uuid = await server.repo()
    await server.get("/api/storage", admin=True)
    await server.post(f"/api/node/{uuid}/note?u=me&{token}", json={"note": "n"})
    monkeypatch.setattr(server.server.repos, "create", broken)
    await server.post("/api/repos", json={}, admin=True, status=500)
    assert caplog.records
    assert token not in caplog.text


async def test_each_use_of_the_admin_token_is_logged_with_address_and_path(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    uuid = await server.repo()
    for method, path in (("GET", "/api/storage"), ("POST", f"/api/node/{uuid}/note"), ("DELETE", f"/api/repo/{uuid}")):
        caplog.clear()
        await server.demand(method, path, json={"note": ""}, admin=True)
        assert any(path in r.getMessage() and "127.0.0.1" in r.getMessage() for r in caplog.records), path


async def test_a_commit_of_unknown_outcome_is_no_success(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = await server.repo()

    async def unsure(*args: Any, **options: Any) -> Any:
        raise UnknownOutcome("the disk did not answer")

    monkeypatch.setattr(server.server.meta, "commit", unsure)
    answer = await server.ask("POST", f"/api/node/{uuid}/note", json={"note": "n"})
    assert answer.status in (500, 503)
    assert (await server.get(f"/api/node/{uuid}/note")) == {"note": ""}


async def test_a_store_that_is_in_use_is_refused_and_its_owner_goes_on(
    plugins: Sequence[ModuleType], tmp_path: Path, engine: str
) -> None:
    async with running("rocksdb", tmp_path, plugins=plugins) as server:
        uuid = await server.repo()
        with pytest.raises(StoreInUse):
            async with running("rocksdb", tmp_path, plugins=plugins):
                pass
        assert list(await server.get("/api/repos/info")) == [uuid]


async def test_two_servers_live_in_one_process(
    server: RunningServer, plugins: Sequence[ModuleType], tmp_path: Path
) -> None:
    async with running("rocksdb", tmp_path, plugins=plugins, rwmode="fullwrite") as other:
        uuid = await server.repo()
        assert await other.get("/api/repos/info") == {}
        await other.repo(root=uuid, alias="other")
        await server.instance(uuid, "kv")
        assert (await server.repo_info(uuid))["Alias"] == ""
        assert (await other.repo_info(uuid))["DataInstances"] == {}
        assert "Mode" not in await server.get("/api/server/info")


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    found = tmp_path / "blocked.txt"
    found.write_text("ip=203.0.113.9\n")
    return found


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xed\xa0\x80", "ü".encode(), b"", b"\t", b"=;,:\"'", b"x" * 100_000])
async def test_headers_of_any_bytes_do_no_harm(
    engine: str, plugins: Sequence[ModuleType], tmp_path: Path, blocked: Path, header: str, value: bytes
) -> None:
    settings: dict[str, Any] = {"cors_domains": ("*", "http://a.example"), "block_list_file": blocked}
    async with running(engine, tmp_path, plugins=plugins, admin_token="", **settings) as server:
        for start in (b"POST /api/repos", b"OPTIONS /api/repos", b"GET /api//x", b"GET /api/heartbeat"):
            async with connect(server.url) as wire:
                lines = [start + b" HTTP/1.1", b"Access-Control-Request-Method: POST", b"Content-Length: 0"]
                lines += [b"Host: localhost"] if header != "Host" else []
                await wire.send(b"\r\n".join([*lines, header.encode() + b": " + value, b"", b""]))
                answer = await wire.reply()
                assert answer is None or answer.status < 500, (start, answer)
        assert await server.get("/api/heartbeat") == b"OK"


async def test_the_last_latency_is_the_last_one(server: RunningServer) -> None:
    for seconds in (0.3, 0.1, 0.2):
        server.server.traffic.ping("me", seconds)
    seen = await server.get("/api/user-latencies?u=me")
    assert [seen[k] for k in ("LastLatency", "MinLatency", "MaxLatency")] == [200, 100, 300]
