"""Paths: cleaning, percent-encoding, and what is no path at all."""

from __future__ import annotations

import pytest

from dvid_core.testing.fixtures import RunningServer
from dvid_core.testing.wire import connect, http_request

pytestmark = pytest.mark.parametrize("engine", ["memory"])


@pytest.fixture
async def place(server: RunningServer) -> str:
    return await server.instance(await server.repo(), "kv")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD", "PUT"])
@pytest.mark.parametrize(("path", "cleaned"), [
    ("//api/heartbeat", "/api/heartbeat"),
    ("/api//heartbeat", "/api/heartbeat"),
    ("/api/./heartbeat", "/api/heartbeat"),
    ("/api/x/../heartbeat", "/api/heartbeat"),
    ("/../api/heartbeat", "/api/heartbeat"),
    ("/api/heartbeat/..", "/api"),
    ("/api/heartbeat/.", "/api/heartbeat"),
    ("/api/help//", "/api/help/"),
    ("//evil.example/x", "/evil.example/x"),
    ("///evil.example", "/evil.example"),
    ("/api//heartbeat?u=a//b&x=../y", "/api/heartbeat?u=a//b&x=../y"),
    ("/api/a%20b//c%2Fd", "/api/a%20b/c%2Fd"),
])  # fmt: skip
async def test_an_untidy_path_is_redirected(server: RunningServer, method: str, path: str, cleaned: str) -> None:
    answer = await server.ask(method, path)
    assert answer.status == 307
    assert answer.headers["Location"] == cleaned


async def test_a_redirect_comes_before_any_handler(server: RunningServer, place: str) -> None:
    await server.post(f"{place}/key/a", b"1")
    await server.post(f"{place}//key/a", b"lost", status=307)
    await server.delete(f"{place}/x/../key/a", status=307)
    await server.post("//api/repos?admintoken=secret", b"{}", status=307)
    assert await server.get(f"{place}/key/a") == b"1"
    assert len(await server.get("/api/repos/info")) == 1


@pytest.mark.parametrize("part", ["a..b", "..a", "a..", "...", ".hidden", "%2E%2E", "%2e", "a%2F%2Fb", "a%2F..%2Fb"])
async def test_dots_inside_a_name_and_encoded_ones_are_kept(server: RunningServer, place: str, part: str) -> None:
    await server.post(f"{place}/key/{part}", part.encode())
    assert await server.get(f"{place}/key/{part}") == part.encode()
    assert len(await server.get(f"{place}/keys")) == 1


@pytest.mark.parametrize(("path", "key"), [
    ("a%20b", "a b"), ("a+b", "a+b"), ("%2B", "+"), ("a%2Fb", "a/b"), ("%25", "%"), ("%2525", "%25"), ("%C3%A9", "é"),
    ("e%CC%81", "e\u0301"), ("%00", "\x00"), ("a%00", "a\x00"), ("%00%01", "\x00\x01"), ("%0D%0A", "\r\n"),
    ("a%3Fb", "a?b"), ("a%23b", "a#b"), ("a;b=c", "a;b=c"), ("~'()*!$&,=:@", "~'()*!$&,=:@"), ("%F0%9F%98%80",
    "\U0001f600"),
    ("%7e", "~"), ("%E2%80%A8", "\u2028"), ("|^`{}\"<>\\", "|^`{}\"<>\\"),
])  # fmt: skip
async def test_each_part_of_a_path_is_decoded_once(server: RunningServer, place: str, path: str, key: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("POST", f"{place}/key/{path}", b"1"))
        answer = await wire.reply()
    assert answer is not None
    assert answer.status == 200, answer.text
    assert await server.get(f"{place}/keys") == [key]


async def test_raw_utf8_in_the_request_line_is_taken_or_refused(server: RunningServer, place: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("POST", f"{place}/key/é", b"1"))
        answer = await wire.reply()
    assert answer is not None
    assert answer.status in (200, 400)
    assert await server.get(f"{place}/keys") == (["é"] if answer.status == 200 else [])


@pytest.mark.parametrize("bad", ["%FF", "%C3", "%ED%A0%80", "%C0%AF", "a%80b", "%F5%80%80%80"])
async def test_bytes_that_are_not_utf8_do_no_harm(server: RunningServer, place: str, bad: str) -> None:
    answer = await server.ask("POST", f"{place}/key/{bad}", b"1")
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert await server.get(f"{place}/keys") == []
    await server.get(f"/api/node/{bad}/kv/keys", status=400)
    await server.get(f"{place[: place.rindex('/')]}/{bad}/keys", status=400)
    await server.get(f"{place}/{bad}", status=400)
    await server.get(f"/api/{bad}", status=404)
    await server.get(f"/{bad}", status=404)
    await server.get(f"/api/repo/{bad}/info", status=400)
    await server.get(f"/api/help/{bad}", status=400)
    await server.get(f"/api/heartbeat?u={bad}&{bad}=1")
    assert isinstance(await server.get("/api/user-latencies"), dict)


@pytest.mark.parametrize("bad", ["%", "%2", "%zz", "%u0041", "a%", "%%41"])
async def test_bad_percent_encodings_do_no_harm(server: RunningServer, place: str, bad: str) -> None:
    async with connect(server.url) as wire:
        await wire.send(http_request("POST", f"{place}/key/{bad}", b"1"))
        answer = await wire.reply()
    assert answer is not None
    assert answer.status in (200, 400)
    assert len(await server.get(f"{place}/keys")) == (answer.status == 200)
    assert await server.get(f"/api/heartbeat?u={bad}&{bad}") == b"OK"


@pytest.mark.parametrize(("path", "status"), [
    ("/api/heartbeat/", 404), ("/api/repos/info/", 404), ("/api/help/", 200), ("/api/server/info/", 404),
    ("/api/heartbeat/x", 404), ("/api/repos", 404), ("/api/repos/", 404), ("/api", 404), ("/api/", 404), ("/", 404),
    ("/api/server", 404), ("/api/server/", 404), ("/api/node", 404), ("/api/repo", 404),
    ("/api/help/nosuch", 400), ("/API/heartbeat", 404), ("/api/Heartbeat", 404),
    ("/interface/version", 200), ("/interface", 200),
])  # fmt: skip
async def test_core_routes_are_exact(server: RunningServer, path: str, status: int) -> None:
    assert (await server.ask("GET", path)).status == status


@pytest.mark.parametrize(
    "path",
    [
        "/api/node/{}/status/",
        "/api/node/{}/status/x",
        "/api/node/{}/nosuch",
        "/api/repo/{}/nosuch",
        "/api/repo/{}/info/",
        "/api/repo/{}",
        "/api/node/{}",
        "/api/node/{}/",
        "/api/repo/{}/",
    ],
)
async def test_unknown_routes_of_a_known_version_are_404_or_400(server: RunningServer, place: str, path: str) -> None:
    uuid = place.split("/")[3]
    answer = await server.ask("GET", path.format(uuid))
    assert answer.status in (400, 404)
    assert answer.text.endswith("\n") and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_one_empty_part_at_the_end_of_a_data_path_is_dropped(server: RunningServer, place: str) -> None:
    await server.post(f"{place}/key/a/", b"1")
    assert await server.get(f"{place}/keys/") == ["a"]
    assert await server.get(f"{place}/key/a/beyond") == b"1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_other_methods_on_unknown_or_reading_routes_are_404(server: RunningServer, method: str) -> None:
    for path in ("/nosuch", "/api/nosuch", "/api/heartbeat", "/api/repos/info", "/api/server/info"):
        assert (await server.ask(method, path)).status in (404, 405), path
