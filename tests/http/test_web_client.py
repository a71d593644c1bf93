"""Static files of `[server] webClient`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from dvid_core.testing.fixtures import RunningServer, running
from dvid_core.testing.wire import connect, http_request

SECRET = b"not for the web"


class Start(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[RunningServer]: ...


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of pages beside a file that is none."""
    root = tmp_path / "web" / "site"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<h1>front</h1>")
    (root / "app.js").write_text("let x = 1")
    (root / "style.css").write_text("p {}")
    (root / "with blank.txt").write_text("0123456789")
    (root / "sub" / "index.html").write_text("<h1>sub</h1>")
    (root / "empty").mkdir()
    (tmp_path / "web" / "secret.txt").write_bytes(SECRET)
    (tmp_path / "web" / "site-secret.txt").write_bytes(SECRET)
    return root


@pytest.fixture
def start(site: Path, plugins: Sequence[ModuleType], tmp_path: Path) -> Start:
    def begin(**settings: Any) -> AbstractAsyncContextManager[RunningServer]:
        return running("memory", tmp_path, plugins=plugins, web_client=site, **settings)

    return begin


async def test_files_come_with_their_types(start: Start) -> None:
    async with start() as server:
        for path, body, kind in (
            ("/", b"<h1>front</h1>", "text/html"),
            ("/index.html", b"<h1>front</h1>", "text/html"),
            ("/app.js?version=3", b"let x = 1", "javascript"),
            ("/style.css", b"p {}", "text/css"),
            ("/with%20blank.txt", b"0123456789", "text/plain"),
            ("/sub/", b"<h1>sub</h1>", "text/html"),
        ):
            answer = await server.ask("GET", path)
            assert (answer.status, answer.body) == (200, body), path
            assert kind in answer.headers["Content-Type"]
            head = await server.ask("HEAD", path)
            assert (head.status, head.body) == (200, b"")


async def test_files_have_ranges(start: Start) -> None:
    async with start() as server:
        part = await server.ask("GET", "/with%20blank.txt", headers={"Range": "bytes=2-4"})
        assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
        beyond = await server.ask("GET", "/with%20blank.txt", headers={"Range": "bytes=20-"})
        assert beyond.status == 416


async def test_a_missing_file_is_404_a_default_page_or_a_redirect(start: Start) -> None:
    async with start() as server:
        for path in ("/none", "/empty/", "/sub/none.html", "/index.html/x"):
            await server.get(path, status=404)
    async with start(web_default_file="index.html") as server:
        assert await server.get("/any/deep/link") == b"<h1>front</h1>"
    async with start(web_redirect_path="/sub/") as server:
        answer = await server.ask("GET", "/none")
        assert (answer.status, answer.headers["Location"]) == (308, "/sub/")


@pytest.mark.parametrize("path", ["/api/nosuch", "/api/", "/api", "/api/server/nosuch", "/api/repo", "/api/node",
                                  "/api/node/x", "/api/repos/nosuch", "/api/help/a/b"])  # fmt: skip
async def test_an_unknown_route_below_api_is_never_a_page(start: Start, path: str) -> None:
    async with start(web_default_file="index.html", web_redirect_path="/x") as server:
        answer = await server.ask("GET", path)
        assert answer.status in (400, 404)
        assert b"<h1>" not in answer.body
        assert "nosuch" not in path or answer.status == 404


async def test_a_file_does_not_hide_a_route(start: Start, site: Path) -> None:
    (site / "api").mkdir()
    (site / "api" / "heartbeat").write_text("file")
    (site / "api" / "own.txt").write_text("file")
    async with start() as server:
        assert await server.get("/api/heartbeat") == b"OK"
        await server.get("/api/own.txt", status=404)


async def test_a_name_that_begins_like_the_api_is_a_page(start: Start, site: Path) -> None:
    (site / "apidocs.html").write_text("<h1>docs</h1>")
    (site / "api-v2").mkdir()
    (site / "api-v2" / "index.html").write_text("<h1>v2</h1>")
    async with start(web_default_file="index.html") as server:
        assert await server.get("/apidocs.html") == b"<h1>docs</h1>"
        assert await server.get("/api-v2/index.html") == b"<h1>v2</h1>"
        assert await server.get("/apiary") == b"<h1>front</h1>"


@pytest.mark.parametrize("path", [
    "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub/../../secret.txt",
    "/sub/%2e%2e/%2e%2e/secret.txt", "/..%5csecret.txt", "/....//secret.txt", "/%252e%252e/secret.txt",
    "//secret.txt", "/../site-secret.txt", "/%2e%2e/site-secret.txt", "/..;/secret.txt", "/%c0%ae%c0%ae/secret.txt",
    "/\\..\\secret.txt", "/sub/..%00/../secret.txt", "/.%00./secret.txt", "/%00../secret.txt", "{absolute}",
    "/{absolute}",
    "//{absolute}", "/%2f{absolute}", "/%2F%2E%2E%2Fsecret.txt", "/../../../../../../../../../../etc/passwd",
    "/~root",
])  # fmt: skip
async def test_nothing_outside_of_the_folder_is_sent(start: Start, site: Path, path: str) -> None:
    secret = site.parent / "secret.txt"
    async with start() as server, connect(server.url) as wire:
        await wire.send(http_request("GET", path.format(absolute=secret)))
        answer = await wire.reply()
        while answer is not None and answer.status == 307:
            await wire.send(http_request("GET", answer.headers["Location"]))
            answer = await wire.reply()
        assert answer is not None
        assert answer.status in (400, 404), answer.text
        assert SECRET not in answer.body and b"root:" not in answer.body


@pytest.mark.parametrize("path", ["/a%00b", "/%FF%FE", "/" + "x" * 5000, "/" + "%61" * 3000, "/" + "d/" * 2000,
                                  "/%zz", "/app.js%00.html"])  # fmt: skip
async def test_names_that_no_file_can_have_are_404(start: Start, path: str) -> None:
    async with start() as server:
        assert (await server.ask("GET", path)).status == 404
        assert (await server.ask("POST", path)).status == 404


async def test_pages_carry_the_cross_origin_headers(start: Start) -> None:
    async with start(cors_domains=("*",)) as server:
        for path in ("/index.html", "/none"):
            assert (await server.ask("GET", path)).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("engine", ["memory"])
async def test_without_a_folder_there_are_no_pages(server: RunningServer) -> None:
    for path in ("/", "/index.html", "/sub/"):
        await server.get(path, status=404)
