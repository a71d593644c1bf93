"""The block list: who gets no service, and its reload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from dvid_core.testing.fixtures import RunningServer, running

LIST = "# comment\n\nu=mallory,you broke it\nu=eve\nip=198.51.100.*,whole network\nip=203.0.113.9\n"


class Blocked:
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(LIST)

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode(errors="surrogateescape"))

    def remove(self) -> None:
        self.path.unlink()


@pytest.fixture
def blocklist(tmp_path: Path) -> Blocked:
    return Blocked(tmp_path / "blocked.txt")


@pytest.fixture
async def guarded(blocklist: Blocked, plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running("memory", tmp_path, plugins=plugins, block_list_file=blocklist.path) as found:
        yield found


@pytest.mark.parametrize("path", ["/api/repos/info", "/api/help", "/api/server/info", "/nosuch", "/api/node/x/y/z"])
async def test_a_blocked_user_gets_429_with_the_note(guarded: RunningServer, path: str) -> None:
    answer = await guarded.ask("GET", f"{path}?u=mallory")
    assert answer.status == 429
    assert "you broke it" in answer.text
    assert (await guarded.ask("GET", f"{path}?app=x&u=eve")).status == 429
    assert (await guarded.ask("GET", f"{path}?u=Mallory")).status != 429
    assert (await guarded.ask("GET", path)).status != 429


@pytest.mark.parametrize(("headers", "status"), [
    ({"X-Forwarded-For": "198.51.100.77"}, 429),
    ({"X-Forwarded-For": "203.0.113.9, 10.0.0.1"}, 429),
    ({"Forwarded": "for=198.51.100.77;proto=http, for=10.0.0.1"}, 429),
    ({"Forwarded": 'For="198.51.100.77:4711"'}, 429),
    ({"X-Forwarded-For": "203.0.113.8"}, 200),
    ({"X-Forwarded-For": "10.0.0.1, 203.0.113.9"}, 200),
    ({"X-Forwarded-For": "garbage"}, 200),
    ({}, 200),
])  # fmt: skip
async def test_a_blocked_address_gets_429(guarded: RunningServer, headers: dict[str, str], status: int) -> None:
    await guarded.get("/api/repos/info", headers=headers, status=status)


async def test_writes_of_the_blocked_change_nothing(guarded: RunningServer) -> None:
    uuid = await guarded.repo()
    async with guarded.unchanged():
        await guarded.post(f"/api/node/{uuid}/note?u=eve", json={"note": "lost"}, status=429)
        await guarded.post(f"/api/node/{uuid}/note?u=eve", json={"note": "lost"}, admin=True, status=429)


@pytest.mark.parametrize("path", ["/api/heartbeat", "/api/load", "/api/user-latencies"])
async def test_heartbeats_are_never_blocked(guarded: RunningServer, path: str) -> None:
    await guarded.get(f"{path}?u=mallory")
    await guarded.get(path, headers={"X-Forwarded-For": "203.0.113.9"})


async def test_a_reload_takes_the_new_list(guarded: RunningServer, blocklist: Blocked) -> None:
    blocklist.write("u=alice,new\n")
    await guarded.get("/api/repos/info?u=mallory", status=429)
    assert await guarded.post("/api/server/reload-blocklist", admin=True)
    await guarded.get("/api/repos/info?u=mallory")
    await guarded.get("/api/repos/info?u=alice", status=429)


@pytest.mark.parametrize(
    "text", ["u=alice\nwhat=ever\n", "u=alice\nip=300.1.1.1\n", "u=\n", "u=alice\nip=1.2.3\n", "\udcff"]
)
async def test_a_reload_with_a_bad_line_keeps_all_of_the_old_list(
    guarded: RunningServer, blocklist: Blocked, text: str
) -> None:
    blocklist.write(text)
    answer = await guarded.ask("POST", "/api/server/reload-blocklist", admin=True)
    assert answer.status == 400
    assert answer.text.strip()
    await guarded.get("/api/repos/info?u=mallory", status=429)
    await guarded.get("/api/repos/info?u=alice")


async def test_a_reload_of_a_missing_file_keeps_the_old_list(guarded: RunningServer, blocklist: Blocked) -> None:
    blocklist.remove()
    await guarded.post("/api/server/reload-blocklist", admin=True, status=400)
    await guarded.get("/api/repos/info?u=mallory", status=429)


@pytest.mark.parametrize("engine", ["memory"])
async def test_a_reload_without_a_list_is_answered(server: RunningServer) -> None:
    assert await server.post("/api/server/reload-blocklist", admin=True)
    assert await server.post("/api/server/reload-auth", admin=True)
