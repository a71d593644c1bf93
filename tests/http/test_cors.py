"""Cross-origin headers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from dvid_core.testing.fixtures import Answer, RunningServer, running

GOOD, BAD = "http://good.example", "http://bad.example"
ALLOW = "Access-Control-Allow-Origin"
ASK = "Access-Control-Request-Method"


class Start(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[RunningServer]: ...


@pytest.fixture
def start(plugins: Sequence[ModuleType], tmp_path: Path) -> Start:
    def begin(**settings: Any) -> AbstractAsyncContextManager[RunningServer]:
        return running("memory", tmp_path, plugins=plugins, **settings)

    return begin


async def answers(server: RunningServer, origin: str | None) -> list[Answer]:
    """Replies of every kind: small, streamed, HEAD, errors, redirect, heartbeat."""
    uuid = await server.repo()
    place = await server.instance(uuid, "kv")
    asked = [("GET", "/api/heartbeat"), ("GET", "/api/repos/info"), ("GET", f"{place}/keys"), ("HEAD", f"{place}/info"),
             ("POST", f"{place}/key/a"), ("GET", f"{place}/key/none"), ("GET", "/nosuch"), ("GET",
             "/api/node/none/note"),
             ("GET", "/api//help"), ("OPTIONS", f"{place}/keys")]  # fmt: skip
    return [await server.ask(m, path, headers={"Origin": origin} if origin else {}) for m, path in asked]


def cross_origin(answer: Answer) -> dict[str, str]:
    return {
        k: v
        for k, v in answer.headers.items()
        if k.startswith("Access-Control") or k in ("Vary", "Timing-Allow-Origin")
    }


@pytest.mark.parametrize("origin", [None, GOOD])
async def test_without_configuration_there_is_no_cross_origin_header(start: Start, origin: str | None) -> None:
    async with start() as server:
        assert [cross_origin(a) for a in await answers(server, origin)] == [{}] * 10
        preflight = await server.ask("OPTIONS", "/api/heartbeat", headers={"Origin": GOOD, ASK: "POST"})
        assert preflight.status == 200
        assert cross_origin(preflight) == {}


@pytest.mark.parametrize("origin", [None, GOOD])
async def test_a_star_lets_everybody_read_every_reply(start: Start, origin: str | None) -> None:
    async with start(cors_domains=("*",)) as server:
        assert [a.headers.getall(ALLOW) for a in await answers(server, origin)] == [["*"]] * 10  # type: ignore[attr-defined]


async def test_a_listed_origin_is_named_in_every_reply(start: Start) -> None:
    async with start(cors_domains=("http://other.example", GOOD)) as server:
        for answer in await answers(server, GOOD):
            assert (answer.headers[ALLOW], answer.headers["Vary"]) == (GOOD, "Origin")
        for answer in await answers(server, BAD) + await answers(server, None):
            assert cross_origin(answer) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    "origin", [BAD, "null", GOOD + ".evil.example", "https://good.example", GOOD + ":81", GOOD.upper()]
)
async def test_an_unlisted_origin_gets_nothing(start: Start, origin: str) -> None:
    async with start(cors_domains=(GOOD,)) as server:
        for headers in ({"Origin": origin}, {"Origin": origin, ASK: "POST"}):
            answer = await server.ask("OPTIONS", "/api/repos", headers=headers)
            assert ALLOW not in answer.headers
            assert "Access-Control-Allow-Methods" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
async def test_a_preflight_of_a_listed_origin_is_granted(start: Start, method: str) -> None:
    asked = {"Origin": GOOD, ASK: method, "Access-Control-Request-Headers": "content-type,x-mine"}
    async with start(cors_domains=(GOOD,)) as server:
        answer = await server.ask("OPTIONS", "/api/node/x/y/z", headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers.getall(ALLOW) == [GOOD]  # type: ignore[attr-defined]
    assert answer.headers["Access-Control-Allow-Methods"] == method
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-mine"
    assert {v.strip() for v in ",".join(answer.headers.getall("Vary")).split(",")} == {  # type: ignore[attr-defined]
        "Origin", ASK, "Access-Control-Request-Headers",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "post", "X"])
async def test_a_preflight_of_another_method_is_not_granted(start: Start, method: str) -> None:
    async with start(cors_domains=(GOOD,)) as server:
        answer = await server.ask("OPTIONS", "/api/repos", headers={"Origin": GOOD, ASK: method})
    assert "Access-Control-Allow-Methods" not in answer.headers


async def test_a_preflight_with_a_star_is_granted_or_left_alone(start: Start) -> None:
    async with start(cors_domains=("*",)) as server:
        answer = await server.ask("OPTIONS", "/api/repos", headers={"Origin": GOOD, ASK: "POST"})
    assert answer.status in (200, 204)
    assert answer.headers[ALLOW] == "*"


async def test_timing_is_allowed_on_instance_endpoints_alone(start: Start) -> None:
    async with start(allow_timing=True) as server:
        uuid = await server.repo()
        place = await server.instance(uuid, "kv")
        for path in (f"{place}/keys", f"{place}/key/none", f"{place}/info"):
            assert (await server.ask("GET", path)).headers["Timing-Allow-Origin"] == "*"
        for path in ("/api/heartbeat", f"/api/repo/{uuid}/info", "/nosuch"):
            assert "Timing-Allow-Origin" not in (await server.ask("GET", path)).headers


async def test_an_origin_may_be_listed_with_a_slash_at_its_end(start: Start) -> None:
    async with start(cors_domains=(GOOD + "/",)) as server:
        assert (await server.ask("GET", "/api/heartbeat", headers={"Origin": GOOD})).headers[ALLOW] == GOOD
