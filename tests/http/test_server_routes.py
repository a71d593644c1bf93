"""What the server tells about itself, and how busy it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from dvid_core.testing.fixtures import RunningServer, running

pytestmark = pytest.mark.parametrize("engine", ["memory"])

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


async def test_info_is_an_object_of_strings(server: RunningServer) -> None:
    info = await server.get("/api/server/info")
    assert all(isinstance(v, str) for v in info.values())
    assert info["Storage backend"] == "memory"
    assert info["Datastore Version"] == "0.11.0"
    assert RFC3339.fullmatch(info["Server time"])
    assert info["Host"].endswith(f":{server.port}")
    assert "Mode" not in info


async def test_note_and_host_are_those_of_the_configuration(
    engine: str, plugins: Sequence[ModuleType], tmp_path: Path
) -> None:
    async with running(engine, tmp_path, plugins=plugins, note="ünï <b>", host="emdata") as server:
        assert await server.get("/api/server/note") == "ünï <b>".encode()
        info = await server.get("/api/server/info")
        assert (info["Note"], info["Host"]) == ("ünï <b>", f"emdata:{server.port}")


async def test_types_in_use_are_those_that_have_an_instance(server: RunningServer) -> None:
    assert await server.get("/api/server/types") == {}
    uuid = await server.repo()
    await server.instance(uuid, "kv")
    known = await server.get("/api/server/compiled-types")
    assert await server.get("/api/server/types") == {"keyvalue": known["keyvalue"]}
    await server.delete(f"/api/repo/{uuid}/instance/kv", admin=True)
    assert await server.get("/api/server/types") == {}


async def test_load_is_an_object_of_integers(server: RunningServer) -> None:
    await server.repo()
    load = await server.get("/api/load")
    assert load.keys() == {
        "file bytes read", "file bytes written", "key bytes read", "key bytes written", "value bytes read",
        "value bytes written", "GET requests", "PUT requests", "handlers active", "goroutines", "active CGo writes",
        "pending log messages",
    }  # fmt: skip
    assert all(type(v) is int and v >= 0 for v in load.values())
    assert 0 <= load["handlers active"] <= 100


async def test_a_user_is_seen_after_a_ping(server: RunningServer) -> None:
    nobody = {"User": "", "LastPing": "", "LastLatency": 0, "MinLatency": 0, "MaxLatency": 0}
    assert await server.get("/api/user-latencies") == {}
    assert await server.get("/api/user-latencies?u=me") == nobody
    seen = await server.get("/api/user-latencies?u=me")
    assert (seen["User"], bool(RFC3339.fullmatch(seen["LastPing"]))) == ("me", True)
    assert all(type(seen[k]) is int for k in ("LastLatency", "MinLatency", "MaxLatency"))
    await server.get("/api/heartbeat?u=you")
    await server.get("/api/load?u=them")
    await server.get("/api/help?u=nobody")
    assert (await server.get("/api/user-latencies")).keys() == {"me", "you", "them"}


async def test_the_heartbeat_is_two_letters(server: RunningServer) -> None:
    answer = await server.ask("GET", "/api/heartbeat")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_server_that_drains_still_answers_heartbeats(server: RunningServer) -> None:
    server.server.draining = True
    await server.get("/api/repos/info", status=503)
    assert await server.get("/api/heartbeat") == b"OK"


async def test_errors_are_a_sentence_in_plain_text(server: RunningServer) -> None:
    for path in ("/nosuch", "/api/node/nosuch/note", "/api/server/token", "/api/server/blobstore/x"):
        answer = await server.ask("GET", path)
        assert answer.status in (400, 404)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.text.endswith("\n") and len(answer.text) > 5


async def test_writes_without_a_reply_have_no_content(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    for path, body in (
        (f"/api/node/{uuid}/note", b'{"note": ""}'),
        (f"/api/repo/{uuid}/info", b"{}"),
        (f"{place}/key/a", b"1"),
    ):
        answer = await server.ask("POST", path, body)
        assert (answer.status, answer.body) == (200, b"")
        assert "Content-Type" not in answer.headers


async def test_repeated_options_count_once_and_unknown_ones_never(server: RunningServer) -> None:
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    await server.post(f"{place}/key/a?nosuch=1&u=me&app=x&interactive=false&throttle=on", b"1")
    assert await server.get(f"{place}/keyrangevalues/a/b?json=true&json=false&x=%00") == {"a": 1}


@pytest.mark.parametrize("path", ["/api/server/info", "/api/repos/info", "/api/load", "/api/server/groupcache"])
async def test_json_says_that_it_is_json(server: RunningServer, path: str) -> None:
    answer = await server.ask("GET", path)
    assert answer.headers["Content-Type"] == "application/json"
    assert isinstance(answer.json(), dict)


async def test_alias_and_description_stay_unless_given(server: RunningServer) -> None:
    uuid = await server.repo(alias="a", description="d")
    await server.post(f"/api/repo/{uuid}/info", json={"alias": "b"})
    await server.post(f"/api/repo/{uuid}/info", json={"description": ""})
    await server.post(f"/api/repo/{uuid}/info", json={"other": 1})
    info = await server.repo_info(uuid)
    assert (info["Alias"], info["Description"]) == ("b", "")
    async with server.unchanged():
        bodies: list[object] = [{"alias": 3}, {"alias": "x", "description": None}, []]
        for body in bodies:
            await server.post(f"/api/repo/{uuid}/info", json=body, status=400)


@pytest.mark.parametrize("value", [3, None, [], {}])
@pytest.mark.parametrize("key", ["alias", "description", "passcode", "root"])
async def test_a_repo_takes_strings(server: RunningServer, key: str, value: object) -> None:
    await server.post("/api/repos", json={key: value}, admin=True, status=400)
    assert await server.get("/api/repos/info") == {}
