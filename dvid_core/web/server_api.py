"""Routes of the server as a whole: what it is, how it fares, its help, and the list of repos."""

from __future__ import annotations

import gc
import logging
import os
import re
import time
from typing import Annotated, Any

import msgspec

from .. import __version__
from ..errors import BadRequest, ConfigError, ReadOnly, UnknownType
from ..help import openapi, route_help, type_help
from ..records import rfc3339
from ..requests import JSON, TEXT, Reply, Request
from ..routes import About, Route, get, post
from ..server import Server
from . import instance_api, node_api, repo_api
from .repo_json import repo_json

log = logging.getLogger(__name__)

DATASTORE_VERSION = "0.11.0"
"""The reference's datastore version that this API corresponds to; clients choose request forms by it."""


class UserQuery(msgspec.Struct, frozen=True):
    """The caller."""

    u: Annotated[str, About("a user; its service times are recorded")] = ""


async def get_info(server: Server) -> Reply:
    """What this server is: versions, storage engines, addresses and uptime, all as strings."""
    files = "unknown"
    try:
        import resource

        files = str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    except (ImportError, OSError):
        pass
    port = server.address[1]
    cores = str(os.cpu_count() or 1)
    info = {
        "Cores": cores,
        "Maximum Cores": cores,
        "Datastore Version": DATASTORE_VERSION,
        "DVID Version": f"v{__version__}",
        "Storage backend": "; ".join(dict.fromkeys(s.engine for s in server.stores.values())),
        "Server time": rfc3339(time.time()),
        "Server uptime": f"{time.time() - server.started:.0f}s",
        "RPC Address": server.config.server.rpc_address,
        "Host": f"{server.host}:{port}",
        "Note": server.config.server.note,
        "TOML location": str(server.config.path or ""),
        "Max Open Files": files,
    }
    if server.readonly:
        info["Mode"] = "read only"
    elif server.fullwrite:
        info["Mode"] = "allow writes on committed nodes"
    return Reply.json(info)


async def get_note(server: Server) -> Reply:
    """The note of the configuration, `[server] note`."""
    return Reply.text(server.config.server.note)


async def get_types(server: Server) -> Reply:
    """The datatypes that have an instance on this server, each with its URL."""
    used = {i.record.typename for r in server.repos.by_id.values() for i in r.instances.values()}
    return Reply.json({t: server.types[t].type_url if t in server.types else "" for t in sorted(used)})


async def get_compiled_types(server: Server) -> Reply:
    """All datatypes that are installed, each with its URL."""
    return Reply.json({t: k.type_url for t, k in server.types.items()})


async def get_config(server: Server) -> Reply:
    """The text of the configuration file; empty when the server runs without one."""
    return Reply.text(server.config.text or "# no configuration file: defaults are in force\n")


async def get_groupcache(server: Server) -> Reply:
    """Counters of a group cache, all zero: this server has none. Kept for monitoring scripts."""
    names = "Gets CacheHits PeerLoads PeerErrors Loads LoadsDeduped LocalLoads LocalLoadErrs ServerRequests"
    cache = dict.fromkeys(["Bytes", "Items", "Gets", "Hits", "Evictions"], 0)
    return Reply.json({**dict.fromkeys(names.split(), 0), "MainCache": cache, "HotCache": cache})


async def post_settings(server: Server, request: Request) -> Reply:
    """Change settings of the running server.

    Body: {"gc": "100", "throttle": "2"}, numbers or strings of numbers. `throttle` is how many throttled requests
    may run at a time; `gc` is the first threshold of the garbage collector. Replies one line per setting.
    """
    wanted = await request.json_object()
    values = {}
    for name in ("gc", "throttle"):
        if name in wanted:
            text = str(wanted[name]) if not isinstance(wanted[name], bool) else ""
            if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
                raise BadRequest(f"{name}: expected a number, got {wanted[name]!r:.80}")
            values[name] = int(text)
    lines = []
    if "gc" in values:
        lines.append(f"gc set from {gc.get_threshold()[0]} to {values['gc']}")
        gc.set_threshold(values["gc"])
    if "throttle" in values:
        lines.append(f"throttle set from {server.throttle} to {values['throttle']}")
        server.throttle = values["throttle"]
    return Reply.text("".join(line + "\n" for line in lines)) if lines else Reply(b"", None)


async def post_reload_auth(server: Server) -> Reply:
    """Read the authorisation file again."""
    return Reply.text("no authorisation file is configured\n")


async def post_reload_blocklist(server: Server) -> Reply:
    """Read the block list again, all of it or, when a line is wrong, nothing."""
    try:
        found = server.reload_blocklist()
    except ConfigError as err:
        raise BadRequest(str(err)) from None
    return Reply.text("the block list was read again\n" if found else "no block list is configured\n")


async def get_token(server: Server) -> Reply:
    """A token for the caller; this server gives none."""
    raise BadRequest("this server gives no tokens: no authorisation mode is configured")


async def get_load(server: Server) -> Reply:
    """How busy the server is: requests and bytes per second over the last ten seconds, handlers under way."""
    return Reply.json(server.traffic.load())


async def get_heartbeat(server: Server, query: UserQuery) -> Reply:
    """OK while the server lives; never blocked, and not counted as work."""
    return Reply.text("OK")


async def get_user_latencies(server: Server, query: UserQuery) -> Reply:
    """How long users waited for heartbeat, load and user-latencies, in milliseconds; of one user with `u`."""
    return Reply.json(server.traffic.latency(query.u) if query.u else server.traffic.latencies())


async def get_storage(server: Server) -> Reply:
    """Write a summary of the stores into the server's log."""
    for alias, store in server.stores.items():
        log.info("store %s: engine %s at %s", alias, store.engine, store.place)
    for repo in server.repos.by_id.values():
        for i in repo.instances.values():
            log.info("repo %s: instance %s of type %s in %s", repo.root, i.name, i.record.typename, i.store.place)
    return Reply.text("a summary of the storage goes into the log\n")


async def post_repos(server: Server, request: Request) -> Reply:
    """Make a repo.

    Body, optional: {"alias", "description", "passcode", "root"}, strings; `root` is a UUID for the first version.
    Replies {"root": <uuid>}.
    """
    if server.readonly:
        raise ReadOnly("this server is read-only")
    given = {k.lower(): v for k, v in (await request.json_object(empty=True)).items()}
    values = {k: given[k] for k in ("alias", "description", "passcode", "root") if k in given}
    for name, value in values.items():
        if not isinstance(value, str):
            raise BadRequest(f"{name}: expected a string, got {value!r:.80}")
    repo = await server.repos.create(**values)
    return Reply.json({"root": repo.root})


async def get_repos_info(server: Server) -> Reply:
    """All repos with their versions and instances, by the UUID of their root."""
    return Reply.json({r.root: await repo_json(r) for r in list(server.repos.by_id.values())})


async def get_help(server: Server, typename: str = "") -> Reply:
    """This help; with a datatype's name the help of that type, its endpoints and settings."""
    if typename:
        kind = server.types.get(typename)
        if kind is None:
            raise UnknownType(f"no datatype {typename!r} is installed; there are {', '.join(server.types)}")
        return Reply.text(type_help(kind, instance_api.ROUTES))
    text = (
        f"DVID, the Distributed, Versioned, Image-oriented Dataservice (dvid-core {__version__})\n\n{INTRODUCTION}\n"
        + "\n\n".join(route_help(base, r) for _, base, routes in core_groups() for r in routes)
        + "\n\nDatatypes (GET /api/help/<type> tells all of each):\n\n"
        + "".join(f"    {t}: {(k.__doc__ or '').strip().splitlines()[0]}\n" for t, k in server.types.items())
    )
    page = (
        f"<!DOCTYPE html>\n<html><head><title>DVID help</title></head><body><pre>{_escape(text)}</pre></body></html>\n"
    )
    return Reply(page.encode(), "text/html; charset=utf-8")


INTRODUCTION = """\
Data live in instances (keyvalue, labelmap, ...) of a repo; every version (node) of a repo is named by a UUID.
Write to an open version, commit it, and go on in a new version or branch: older versions stay as they were.

A version is named by its UUID, by the beginning of one that fits a single version, by <uuid>:<branch> (the branch's
newest version, "master" being the default branch) or <uuid>:<branch>~<n> (n versions back).

Every request may carry u=<user> and app=<application>. Errors are a sentence in plain text, nearly always with
status 400; 404 means that a key or a route is not there. The same routes as OpenAPI: /api/openapi.json.
"""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def get_openapi(server: Server) -> Reply:
    """All routes of the server and of every installed datatype, as an OpenAPI 3.1 document."""
    groups: list[tuple[str, str, Any]] = [*core_groups()]
    groups += [(typename, "/api/node/<uuid>/<name>", kind.routes) for typename, kind in server.types.items()]
    # A datatype's own path may well have a part <name>.
    plain = [(tag, base.replace("<name>", "{instance}").replace("<uuid>", "{uuid}"), r) for tag, base, r in groups]
    document = openapi(plain, "DVID", __version__)
    return Reply(msgspec.json.encode(document), JSON)


async def get_llms(server: Server) -> Reply:
    """A short plain-text overview of this API for tools that read it."""
    lines = [
        "# DVID",
        "",
        "> Versioned volumes, segmentations, annotations and key-values over HTTP.",
        "",
        INTRODUCTION,
    ]
    lines += ["## Routes", ""]
    for _, base, routes in core_groups():
        lines += [_line(base, r) for r in routes]
    for typename, kind in server.types.items():
        lines += ["", f"## Datatype {typename}: {(kind.__doc__ or '').strip().splitlines()[0]}", ""]
        lines += [_line("/api/node/<uuid>/<name>", r) for r in kind.routes]
    lines += ["", "More: /api/help, /api/help/<type>, /api/openapi.json", ""]
    return Reply("\n".join(lines).encode(), TEXT)


def _line(base: str, route: Route) -> str:
    path = f"{base}/{route.pattern}".rstrip("/").replace("{", "<").replace("}", ">")
    options = ", ".join(o.name for o in route.query.options) if route.query else ""
    return f"- {route.method} {path}{f' (options {options})' if options else ''}: {route.summary}"


async def get_interface_version(server: Server, word: str = "") -> Reply:
    """The version of this interface."""
    if word not in ("", "version"):
        raise BadRequest("expected /interface or /interface/version")
    return Reply.text("v1")


def core_groups() -> list[tuple[str, str, tuple[Route, ...]]]:
    """(tag, base path, routes) of everything but the datatypes."""
    return [
        ("server", "/api", API_ROUTES),
        ("server", "/api/server", SERVER_ROUTES),
        ("server", "", ROOT_ROUTES),
        ("repo", "/api/repo/<uuid>", repo_api.ROUTES),
        ("node", "/api/node/<uuid>", node_api.ROUTES),
        ("instance", "/api/node/<uuid>/<name>", instance_api.ROUTES),
    ]


API_ROUTES: tuple[Route, ...] = (
    get("help/{typename}", get_help, mutates=False),
    post("repos", post_repos, admin=True),
    get("repos/info", get_repos_info),
    get("load", get_load),
    get("heartbeat", get_heartbeat, query=UserQuery),
    get("user-latencies", get_user_latencies, query=UserQuery),
    get("storage", get_storage, admin=True),
    get("openapi.json", get_openapi),
)

SERVER_ROUTES: tuple[Route, ...] = (
    get("info", get_info),
    get("note", get_note),
    get("types", get_types),
    get("compiled-types", get_compiled_types),
    get("config", get_config, admin=True),
    get("groupcache", get_groupcache),
    get("token", get_token),
    post("settings", post_settings, admin=True),
    post("reload-auth", post_reload_auth, admin=True),
    post("reload-blocklist", post_reload_blocklist, admin=True),
)

ROOT_ROUTES: tuple[Route, ...] = (
    get("llms.txt", get_llms),
    get("interface/{word}", get_interface_version),
)
