"""Help, OpenAPI and llms.txt: made of the routes, so they must name every route and every option."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from dvid_core.routes import Route
from dvid_core.server import Server
from dvid_core.testing.fixtures import RunningServer
from dvid_core.web.server_api import core_groups

pytestmark = pytest.mark.parametrize("engine", ["memory"])

DATA = "/api/node/<uuid>/<name>"


def core_routes() -> Iterator[tuple[str, Route]]:
    """(what the path begins with, route) of the core."""
    for _, base, routes in core_groups():
        for route in routes:
            yield base, route


def type_routes(server: Server) -> Iterator[tuple[str, str, Route]]:
    """(type, what the path begins with, route) of all installed types."""
    for typename, kind in server.types.items():
        for route in kind.routes:
            yield typename, DATA, route


def told(text: str, base: str, route: Route) -> bool:
    """Whether a text has method and path of a route in one line, and its options."""
    path = f"{base}/{route.pattern}".rstrip("/").replace("{", "<").replace("}", ">")
    line = re.compile(rf"{route.method} {re.escape(path)}(?![\w/-])")
    options = [o.name for o in route.query.options] if route.query else []
    return bool(line.search(text)) and all(re.search(rf"\b{re.escape(o)}\b", text) for o in options)


async def test_the_help_is_a_page_with_every_core_route_and_type(server: RunningServer) -> None:
    answer = await server.ask("GET", "/api/help")
    assert answer.headers["Content-Type"].startswith("text/html")
    text = html.unescape(answer.text)
    assert [f"{r.method} {base}/{r.pattern}" for base, r in core_routes() if not told(text, base, r)] == []
    assert [t for t in server.server.types if not re.search(rf"\b{t}: \S", text)] == []
    for route in (r for _, r in core_routes()):
        assert all(line.strip() in text for line in route.about.splitlines())
    assert (await server.ask("GET", "/api/help/")).body == answer.body


async def test_the_page_shows_angle_brackets_as_text(server: RunningServer) -> None:
    page = (await server.ask("GET", "/api/help")).text
    inside = page[page.index("<pre>") + 5 : page.index("</pre>")]
    assert "<" not in inside and "&lt;uuid&gt;" in inside


async def test_the_help_of_a_type_tells_its_routes_and_what_it_inherits(server: RunningServer) -> None:
    uuid = await server.repo()
    for typename in server.server.types:
        answer = await server.ask("GET", f"/api/help/{typename}")
        assert answer.headers["Content-Type"].startswith("text/plain")
        routes = [(b, r) for t, b, r in type_routes(server.server) if t == typename]
        inherited = [(b, r) for b, r in core_routes() if b == DATA]
        assert [r.pattern for b, r in routes + inherited if not told(answer.text, b, r)] == []
    place = await server.instance(uuid, "kv")
    assert (await server.ask("GET", f"{place}/help")).text == (await server.ask("GET", "/api/help/keyvalue")).text
    await server.get("/api/help/nosuch", status=400)


async def document(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = await server.get("/api/openapi.json")
    return found


async def test_the_openapi_document_is_valid(server: RunningServer) -> None:
    found = await document(server)
    assert found["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(found).iter_errors()] == []


def operation(found: dict[str, Any], base: str, route: Route, tag: str) -> dict[str, Any] | None:
    """The operation of a route, whatever the placeholders are called."""
    path = re.sub(r"<\w+>|{[^}]*}", "{}", f"{base}/{route.pattern}".rstrip("/"))
    for key, item in found["paths"].items():
        if re.sub(r"{[^}]*}", "{}", key) == path:
            for method, entry in item.items():
                if method == route.method.lower() and tag in entry["tags"]:
                    return dict(entry)
    return None


async def test_the_openapi_document_has_every_route_and_every_option(server: RunningServer) -> None:
    found = await document(server)
    wanted = [(tag, base, r) for tag, base, routes in core_groups() for r in routes]
    wanted += type_routes(server.server)
    assert any(tag == "keyvalue" for tag, *_ in wanted)
    missing = []
    for tag, base, route in wanted:
        entry = operation(found, base, route, tag)
        options = {o.name for o in route.query.options} if route.query else set()
        given = {p["name"] for p in entry["parameters"] if p["in"] == "query"} if entry else set()
        if entry is None or options - given or not entry["summary"] or not entry["description"]:
            missing.append(f"{tag}: {route.method} {base}/{route.pattern} {options - given}")
        elif route.admin:
            assert "admintoken" in given
    assert missing == []


async def test_paths_of_the_openapi_document_differ_by_more_than_the_names_of_their_parameters(
    server: RunningServer,
) -> None:
    """The specification: templated paths with the same hierarchy must not exist, as they are identical."""
    shapes = [re.sub(r"{[^}]*}", "{}", path) for path in (await document(server))["paths"]]
    assert sorted({s for s in shapes if shapes.count(s) > 1}) == []


async def test_every_optional_part_of_a_path_can_be_left_out_by_the_document(server: RunningServer) -> None:
    """Path parameters are always required in OpenAPI, so /api/help needs an entry beside /api/help/{typename}."""
    paths = (await document(server))["paths"]
    assert {"/api/help", "/api/help/{typename}"} <= paths.keys()


async def test_llms_txt_names_every_route(server: RunningServer) -> None:
    answer = await server.ask("GET", "/llms.txt")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("# DVID\n")
    every = [*core_routes(), *((b, r) for _, b, r in type_routes(server.server))]
    assert [f"{r.method} {b}/{r.pattern}" for b, r in every if not told(answer.text, b, r)] == []


async def test_examples_of_the_help_are_real_routes(server: RunningServer) -> None:
    """An indented line of a docstring that is a request must name an endpoint that exists."""
    wrong = []
    for typename, _, route in type_routes(server.server):
        words = {(r.method, r.word) for t, _, r in type_routes(server.server) if t == typename}
        for method, path in re.findall(r"^\s+(GET|POST|PUT|DELETE|HEAD) (/api/node/\S+)", route.about, re.M):
            if (method, path.split("/")[5].split("?")[0]) not in words:
                wrong.append(f"{typename}: {method} {path}")
    assert wrong == []
