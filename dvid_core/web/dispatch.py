"""From a request to its route and back: the only place that knows both aiohttp and the routes."""

from __future__ import annotations

import asyncio
import logging
import posixpath
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from ..dag import Node
from ..errors import (
    AdminOnly,
    Blocked,
    DvidError,
    NodeLocked,
    NoRoute,
    ReadOnly,
    StoreClosed,
    Unavailable,
    UnknownEndpoint,
)  # fmt: skip
from ..instance import Instance
from ..repo import Repo
from ..requests import TEXT, Caller, Reply, Request
from ..routes import Route, RouteTable
from ..server import Server
from ..view import View
from . import instance_api, node_api, repo_api, server_api
from .bodies import AiohttpBody
from .callers import caller_of, client_address, is_local_admin
from .cors import Cors
from .replies import send
from .whole import Clock, WholeReply, whole_reply

log = logging.getLogger(__name__)

UNBLOCKED = ("/api/heartbeat", "/api/load", "/api/user-latencies")
"""Paths that work for callers on the block list, and while the server drains (heartbeat alone)."""

Context = dict[str, Any]
Response = web.StreamResponse | WholeReply


class Dispatcher:
    """Answers the requests of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cors = Cors(server.config.server.cors_domains, server.config.server.allow_timing)
        self.api = RouteTable(server_api.API_ROUTES)
        self.server_routes = RouteTable(server_api.SERVER_ROUTES)
        self.root = RouteTable(server_api.ROOT_ROUTES)
        self.repo = RouteTable(repo_api.ROUTES)
        self.node = RouteTable(node_api.ROUTES)
        self.inherited = RouteTable(instance_api.ROUTES)
        self._clock = Clock()

    async def handle(self, raw: web.BaseRequest) -> Response:
        """Answer one request; every error becomes a reply here."""
        traffic = self.server.traffic
        traffic.active += 1
        if raw.method in traffic.counts:
            traffic.counts[raw.method] += 1
        if raw.method in ("POST", "PUT"):
            traffic.counts["bytes in"] += raw.content_length or 0
        path, _, query_string = raw.raw_path.partition("#")[0].partition("?")
        if not path.startswith("/"):
            path = urlsplit(path).path or "/"
        data = False
        try:
            if ("//" in path or "/." in path) and (cleaned := clean_path(path)) != path:
                location = cleaned + ("?" + query_string if query_string else "")
                return await self._send(raw, Reply(b"", None, status=307, headers={"Location": location}), data)
            if self.server.draining and path != "/api/heartbeat":
                raise Unavailable("DVID server is unavailable: it is shutting down.")
            if self.server.blocklist.users or self.server.blocklist.addresses:
                self._check_blocked(raw, path, query_string)
            data = path.startswith("/api/node/")
            if raw.method == "OPTIONS":
                reply = self._options(raw, path)
            else:
                reply = await self._answer(raw, path, query_string)
            if reply.stream is None:
                traffic.counts["bytes out"] += len(reply.body)
            return await self._send(raw, reply, data)
        except asyncio.CancelledError:
            raise
        except DvidError as err:
            reply = error_reply(err.status, str(err), err.headers)
        except (StoreClosed, ConnectionError) as err:
            reply = error_reply(503, f"the store is not available: {err}")
        except Exception as err:
            number = secrets.token_hex(4)
            log.exception("request %s failed: %s %s", number, raw.method, path)
            reply = error_reply(500, f"internal error {number} ({type(err).__name__}); the server's log has more")
        finally:
            traffic.active -= 1
        return await self._send(raw, reply, data)

    async def _send(self, raw: web.BaseRequest, reply: Reply, data: bool) -> Response:
        if isinstance(reply, FileReply):
            return web.FileResponse(reply.path, headers=self.cors.headers(raw.headers, data))
        extra = self.cors.headers(raw.headers, data) if self.cors.active else None
        if reply.stream is None and reply.status < 400:
            whole = whole_reply(raw, reply, extra, self._clock)
            if whole is not None:
                return whole
        return await send(raw, reply, extra)

    def _check_blocked(self, raw: web.BaseRequest, path: str, query_string: str) -> None:
        if path not in UNBLOCKED:
            caller = caller_of(self.server, raw, query_string)
            note = self.server.blocklist.match(caller.user, client_address(raw))
            if note is not None:
                raise Blocked(note or "this user or address is on the block list")

    # -- finding the route

    async def _answer(self, raw: web.BaseRequest, path: str, query_string: str) -> Reply:
        if path.startswith("/api/node/"):
            parts = [unquote(p, errors="surrogateescape") if "%" in p else p for p in path[10:].split("/")]
            if len(parts) > 2:
                return await self._data(raw, parts, query_string)
            return await self._version(raw, parts, query_string, self.node)
        words = [unquote(p, errors="surrogateescape") if "%" in p else p for p in path[1:].split("/")]
        if words[:2] == ["api", "repo"] and len(words) > 2:
            return await self._version(raw, words[2:], query_string, self.repo)
        if words[:2] == ["api", "server"]:
            return await self._plain(raw, path, words[2:] or [""], query_string, self.server_routes)
        if words[0] == "api":
            return await self._plain(raw, path, words[1:] or [""], query_string, self.api)
        return await self._plain(raw, path, words, query_string, self.root)

    async def _data(self, raw: web.BaseRequest, parts: list[str], query_string: str) -> Reply:
        server, method = self.server, raw.method
        repo, node = server.repos.find(parts[0])
        instance = repo.instance(parts[1])
        if not instance.opened:
            await instance.ready()
        words = parts[2:]
        if len(words) > 1 and not words[-1]:
            words.pop()
        word = words[0]
        table = instance.table
        route = table.find(method, word)
        if route is None:
            table = self.inherited
            route = table.find(method, word)
            if route is None:
                raise self._no_endpoint(instance, method, word)
        if not route.fits(words):
            raise UnknownEndpoint(f"{word}: expected {route.pattern}")
        caller = caller_of(server, raw, query_string)
        self._check_admin(route, raw, caller)
        if instance.versioned:
            if route.mutates and node.locked and not (caller.admin or server.fullwrite):
                raise NodeLocked(f"version {node.uuid} is committed and cannot be changed; make a new version of it")
        else:
            node = repo.dag.root
        if server.readonly and method not in ("GET", "HEAD") and not caller.admin:
            raise ReadOnly("this server is read-only")
        request = Request(
            method, words, query_string=query_string, headers=raw.headers, body=AiohttpBody(raw), caller=caller,
            uuid=parts[0],
        )  # fmt: skip
        view = View(instance, node, caller)
        context: Context = {"server": server, "repo": repo, "node": node, "view": view, "request": request}
        return await route.handler(**route.arguments(words, context))

    def _no_endpoint(self, instance: Instance, method: str, word: str) -> DvidError:
        methods = [*instance.table.methods(word), *self.inherited.methods(word)]
        if methods:
            return UnknownEndpoint(f"{word}: {method} is not among its methods, {', '.join(methods)}")
        known = sorted({r.word for r in (*instance.table.routes, *self.inherited.routes)})
        return UnknownEndpoint(
            f"a {instance.typename} has no endpoint {word[:80]!r}; it has {', '.join(known)} "
            f"(see /api/help/{instance.typename})"
        )

    async def _version(self, raw: web.BaseRequest, parts: list[str], query_string: str, table: RouteTable) -> Reply:
        """A route of a repo or a node: the version is looked up before the route, as clients expect."""
        server = self.server
        repo, node = server.repos.find(parts[0])
        words = parts[1:] or [""]
        route = self._core_route(raw.method, words, table)
        caller = caller_of(server, raw, query_string)
        if server.readonly and raw.method not in ("GET", "HEAD") and not caller.admin:
            raise ReadOnly("this server is read-only")
        if route.mutates and node.locked and not (caller.admin or server.fullwrite):
            raise NodeLocked(f"version {node.uuid} is committed and cannot be changed; make a new version of it")
        return await self._run(raw, route, words, query_string, caller, repo, node, parts[0])

    async def _plain(
        self, raw: web.BaseRequest, path: str, words: list[str], query_string: str, table: RouteTable
    ) -> Reply:
        try:
            route = self._core_route(raw.method, words, table)
        except NoRoute:
            if raw.method in ("GET", "HEAD") and table is self.root:
                return self._web_client(path)
            raise
        begun = time.monotonic()
        caller = caller_of(self.server, raw, query_string)
        reply = await self._run(raw, route, words, query_string, caller)
        if path in UNBLOCKED and caller.user:
            self.server.traffic.ping(caller.user, time.monotonic() - begun)
        return reply

    def _core_route(self, method: str, words: list[str], table: RouteTable) -> Route:
        route = table.find(method, words[0])
        if route is None or not route.fits(words) or not route.takes(len(words)):
            raise NoRoute("404 page not found")
        return route

    async def _run(
        self, raw: web.BaseRequest, route: Route, words: list[str], query_string: str, caller: Caller,
        repo: Repo | None = None, node: Node | None = None, uuid: str = "",
    ) -> Reply:  # fmt: skip
        self._check_admin(route, raw, caller)
        request = Request(
            raw.method, words, query_string=query_string, headers=raw.headers, body=AiohttpBody(raw), caller=caller,
            uuid=uuid,
        )  # fmt: skip
        context: Context = {"server": self.server, "repo": repo, "node": node, "request": request}
        return await route.handler(**route.arguments(words, context))

    def _check_admin(self, route: Route, raw: web.BaseRequest, caller: Caller) -> None:
        if not route.admin or caller.admin or is_local_admin(self.server, raw):
            return
        if self.server.admin_token:
            raise AdminOnly("this needs the admin's token: add the option admintoken=...")
        raise AdminOnly(
            "this needs an admin token, and the server was started without one: set DVID_ADMIN_TOKEN and restart"
        )

    # -- what is not a route

    def _options(self, raw: web.BaseRequest, path: str) -> Reply:
        """OPTIONS ends here, whatever the path: a preflight, or the methods that exist."""
        preflight = self.cors.preflight(raw.headers)
        if preflight is not None:
            return Reply(b"", None, status=204, headers=preflight)
        return Reply(b"", None, headers={"Allow": "GET, HEAD, POST, PUT, DELETE, OPTIONS"})

    def _web_client(self, path: str) -> Reply:
        """A file below `webClient`, or what is configured to stand in for missing ones."""
        settings = self.server.config.server
        if settings.web_client is None:
            raise NoRoute("404 page not found")
        root = settings.web_client.resolve()
        try:
            wanted = (root / unquote(path).lstrip("/")).resolve()
            if wanted.is_dir():
                wanted /= "index.html"
            elif path.endswith("/"):
                raise NoRoute("404 page not found")
            found = wanted.is_relative_to(root) and wanted.is_file()
        except (OSError, ValueError):  # a name that no file can have
            found = False
        if found:
            return FileReply(wanted)
        if settings.web_redirect_path:
            return Reply(b"", None, status=308, headers={"Location": settings.web_redirect_path})
        if settings.web_default_file and (root / settings.web_default_file).is_file():
            return FileReply(root / settings.web_default_file)
        raise NoRoute("404 page not found")


class FileReply(Reply):
    """A file, sent by aiohttp with its type and ranges."""

    __slots__ = ("path",)

    def __init__(self, path: Any) -> None:
        super().__init__(b"", None)
        self.path = path


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A sentence in plain text."""
    text = message.encode(errors="backslashreplace") + b"\n"
    return Reply(text, TEXT, status=status, headers={"X-Content-Type-Options": "nosniff", **(headers or {})})


def clean_path(path: str) -> str:
    """The path without empty parts, "." and ".."; a slash at the end stays."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned
