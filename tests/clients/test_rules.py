"""What all clients rely on, whatever they are."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvid_core.testing.fixtures import RunningServer

from .session import Session


@pytest.fixture
def session(server: RunningServer) -> Iterator[Session]:
    found = Session(server.url, u="somebody", app="test")
    yield found
    found.requests.close()


@pytest.fixture
async def kv(server: RunningServer) -> str:
    uuid = await server.repo()
    return await server.instance(uuid, "kv")


async def test_unknown_options_are_no_error_anywhere(session: Session, kv: str) -> None:
    odd = {
        "nonsense": "1",
        "compression": "lz4",
        "throttle": "on",
        "interactive": "false",
        "supervoxels": "True",
        "": "x",
    }
    await session.demand("POST", f"{kv}/key/a", data=b"1", params=odd)
    for path in ("key/a", "keys", "keyrange/a/z", "keyrangevalues/a/z", "info", "mutations", "tags"):
        await session.demand("GET", f"{kv}/{path}", params=odd)
    for path in (
        "/api/repos/info",
        "/api/server/info",
        "/api/load",
        "/api/heartbeat",
        "/api/help",
        "/api/help/keyvalue",
    ):
        await session.demand("GET", path, params=odd)


async def test_errors_are_short_text(session: Session, kv: str) -> None:
    for path in (
        f"{kv}/key/none", f"{kv}/nothing", "/api/node/000/kv/keys", f"{kv}none/keys", f"{kv}/keyrange/a",
        f"{kv}/keyvalues?json=true",
    ):  # fmt: skip
        answer = await session.ask("GET", path)
        assert answer.status_code in (400, 404)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert 10 < len(answer.content) < 400
        assert answer.text.endswith("\n")
        assert not answer.text.startswith(("{", "<", "Traceback"))


@pytest.mark.parametrize(
    "kind",
    [None, "application/json", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain", "x"],
)
async def test_the_type_of_a_body_decides_nothing(
    session: Session, server: RunningServer, kv: str, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    await session.demand("POST", f"{kv}/key/a", data=b'{"x": "a=b&c=d"}', headers=headers)
    assert (await session.demand("GET", f"{kv}/key/a", headers=headers)).content == b'{"x": "a=b&c=d"}'
    found = await session.demand("GET", f"{kv}/keyvalues?json=true", data=b'["a"]', headers=headers)
    assert found.json() == {"a": {"x": "a=b&c=d"}}
    root = kv.split("/")[3]
    await session.demand("POST", f"/api/node/{root}/note", data=b'{"note": "n"}', headers=headers)
    body = json.dumps({"typename": "keyvalue", "dataname": "second"}).encode()
    await session.demand("POST", f"/api/repo/{root}/instance", data=body, headers=headers)


async def test_nothing_is_compressed_unless_the_client_takes_it(server: RunningServer, kv: str) -> None:
    await server.post(f"{kv}/key/a", b"a" * 100_000)
    plain = await server.ask("GET", f"{kv}/key/a", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.body == b"a" * 100_000
    listed = await server.ask("GET", f"{kv}/keys", headers={"Accept-Encoding": ""})
    assert "Content-Encoding" not in listed.headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_a_large_upload_may_ask_first_as_curl_does(server: RunningServer, kv: str, tmp_path: Path) -> None:
    """Beyond 1 MB curl sends `Expect: 100-continue` and waits a second for the answer."""
    file = tmp_path / "large"
    file.write_bytes(b"0123456789" * 300_000)
    for extra in ((), ("--header", "Transfer-Encoding: chunked"), ("--header", "Expect: 100-continue"), ("--http1.0",)):
        process = await asyncio.create_subprocess_exec(
            "curl", "-s", "-f", "-X", "POST", "--data-binary", f"@{file}", "--max-time", "20",
            *extra, f"{server.url}{kv}/key/large",
        )  # fmt: skip
        assert await process.wait() == 0
        assert await server.get(f"{kv}/key/large") == file.read_bytes()
        await server.delete(f"{kv}/key/large")


async def test_connections_are_kept(server: RunningServer, kv: str) -> None:
    def ask() -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        statuses, places = [], set()
        for method, path, body in (
            ("POST", f"{kv}/key/a", b"1"), ("GET", f"{kv}/key/a", None), ("GET", f"{kv}/key/none", None),
            ("HEAD", f"{kv}/key/a", None),
            ("GET", f"{kv}/keys", None), ("POST", f"{kv}/key/", b"x" * 5000), ("GET", "/nothing", None),
            ("DELETE", f"{kv}/key/a", None),
            ("GET", f"{kv}/keyvalues", b""), ("GET", f"{kv}/keyrangevalues/a/z?tar=true", None),
            ("GET", f"{kv}/key/a", None),
        ):  # fmt: skip
            connection.request(method, path, body)
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)
            assert connection.sock is not None, f"{method} {path} closed the connection"
            places.add(connection.sock.getsockname())
        connection.close()
        assert len(places) == 1
        return statuses

    assert await asyncio.to_thread(ask) == [200, 200, 404, 200, 200, 400, 404, 200, 200, 200, 404]


async def test_integers_beyond_the_doubles_stay_integers(session: Session, kv: str) -> None:
    text = b'{"id": 18446744073709551615, "other": 9007199254740993}'
    await session.demand("POST", f"{kv}/key/a", data=text)
    assert (
        await session.demand("GET", f"{kv}/keyvalues?json=true&check=true", json=["a"])
    ).content == b'{"a":' + text + b"}"


async def test_an_instance_is_made_once_as_libdvid_and_dvision_do_it(session: Session, server: RunningServer) -> None:
    uuid = await server.repo()
    octets = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    assert (await session.ask("GET", f"/api/node/{uuid}/new/info", headers=octets)).status_code == 400
    body = {"typename": "keyvalue", "dataname": "new"}
    await session.demand("POST", f"/api/repo/{uuid}/instance", json=body)
    info = await session.json(f"/api/node/{uuid}/new/info", headers=octets)
    assert info["Base"]["TypeName"] == "keyvalue"
    again = await session.ask("POST", f"/api/repo/{uuid}/instance", json=body)
    assert again.status_code == 400
    assert "already exists" in again.text  # what dvision looks for
    await session.demand("POST", f"/api/node/{uuid}/new/key/k", data=b"", headers=octets)
    assert (await session.demand("GET", f"/api/node/{uuid}/new/key/k", headers=octets)).content == b""
