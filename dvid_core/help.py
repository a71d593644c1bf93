"""Help texts and the OpenAPI document, both made of the route tables."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .instance import Instance
from .routes import Route

Group = tuple[str, Sequence[Route]]
"""What the paths of some routes begin with, and the routes."""


def route_help(base: str, route: Route) -> str:
    """One route: its URL, its docstring, its options."""
    path = f"{base}/{route.pattern}".rstrip("/").replace("{", "<").replace("}", ">")
    lines = [f"{route.method} {path}"]
    if route.query is not None:
        lines[0] += "[?options]"
    if route.admin:
        lines[0] += "    (admin)"
    lines += [f"    {line}".rstrip() for line in route.about.splitlines()]
    described = [(f"<{name}>", text) for _, name, _, _, text in route.params if text]
    described += [(o.name, o.about) for o in (route.query.options if route.query else ())]
    if described:
        width = max(len(n) for n, _ in described)
        lines += ["", *(f"        {name:{width}}  {text}" for name, text in described)]
    return "\n".join(lines)


def type_help(kind: type[Instance], inherited: Sequence[Route]) -> str:
    """The help text of a datatype."""
    base = "/api/node/<uuid>/<name>"
    parts = [f"{kind.typename} (version {kind.type_version})", inspect.getdoc(kind) or ""]
    parts.append(settings_help(kind))
    parts += [route_help(base, r) for r in kind.routes]
    parts.append("Every instance also has:")
    parts += [route_help(base, r) for r in inherited]
    return "\n\n".join(p for p in parts if p) + "\n"


def settings_help(kind: type[Instance]) -> str:
    """How to make an instance, and its settings."""
    lines = [
        "POST /api/repo/<uuid>/instance",
        f'    {{"typename": "{kind.typename}", "dataname": <name>, ...}} makes an instance. Settings besides',
        "    versioned, Compression, Checksum and Tags:" if msgspec.structs.fields(kind.Settings) else
        "    versioned, Compression, Checksum and Tags: none.",
    ]  # fmt: skip
    hints = typing.get_type_hints(kind.Settings, include_extras=True)
    for f in msgspec.structs.fields(kind.Settings):
        about = next((a.text for a in getattr(hints[f.name], "__metadata__", ()) if hasattr(a, "text")), "")
        value = f.default_factory() if f.default is msgspec.NODEFAULT and not f.required else f.default
        default = "required" if f.required else f"default {msgspec.to_builtins(value)}"
        lines.append(f"        {f.encode_name}  {about} ({default})")
    return "\n".join(lines)


def openapi(groups: Iterable[tuple[str, str, Sequence[Route]]], title: str, version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document of (tag, base path, routes).

    Paths that differ by the names of their parameters alone are one path to OpenAPI, so the routes of several
    datatypes share an operation there, which has a tag and a description for each.
    """
    paths: dict[str, Any] = {}
    shapes: dict[str, str] = {}
    tags: dict[str, None] = {}
    for tag, base, routes in groups:
        tags[tag] = None
        for route in routes:
            for pattern in route.patterns():
                path = f"{base}/{pattern}".rstrip("/")
                path = shapes.setdefault(re.sub(r"{[^}]*}", "{}", path), path)
                item = paths.setdefault(path, {})
                method = route.method.lower()
                added = _operation(tag, path, route, pattern)
                item[method] = _joined(item[method], added, tag) if method in item else added
    info = {"title": title, "version": version}
    return {"openapi": "3.1.0", "info": info, "tags": [{"name": t} for t in tags], "paths": paths}


def _joined(first: dict[str, Any], second: dict[str, Any], tag: str) -> dict[str, Any]:
    """One operation for two routes of one path."""
    known = {(p["name"], p["in"]) for p in first["parameters"]}
    return {
        **first,
        "tags": [*first["tags"], *second["tags"]],
        "description": f"{first['description']}\n\n{tag}: {second['description']}",
        "parameters": first["parameters"] + [p for p in second["parameters"] if (p["name"], p["in"]) not in known],
    }


def _operation(tag: str, path: str, route: Route, pattern: str) -> dict[str, Any]:
    words = path.split("/")
    start = len(words) - len(pattern.split("/"))
    known = {words[start + i][1:-1]: (p, about) for i, _, p, _, about in route.params if start + i < len(words)}
    parameters: list[dict[str, Any]] = []
    for word in [w[1:-1] for w in words if w.startswith("{")]:
        param, about = known.get(word, (None, _PLACES.get(word, "")))
        schema = param.schema if param else {"type": "string"}
        parameters.append({"name": word, "in": "path", "required": True, "schema": schema, "description": about})
    for o in route.query.options if route.query else ():
        parameters.append({"name": o.name, "in": "query", "schema": o.param.schema, "description": o.about})
    if route.admin:
        parameters.append({"name": "admintoken", "in": "query", "schema": {"type": "string"},
                           "description": "the server's admin token"})  # fmt: skip
    out: dict[str, Any] = {
        "tags": [tag],
        "operationId": f"{tag} {route.method} {pattern}",
        "summary": route.summary,
        "description": route.about,
        "parameters": parameters,
        "responses": {"200": {"description": "done"}, "400": {"description": "refused; the text says why"}},
    }
    if route.method in ("POST", "PUT"):
        out["requestBody"] = {"content": {"application/octet-stream": {}, "application/json": {}}}
    return out


_PLACES = {
    "uuid": "a version: a UUID, a prefix of one, prefix:branch or prefix:branch~n",
    "instance": "the name of a data instance",
}
