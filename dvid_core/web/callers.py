"""Who asks: user, application, address, and whether the admin's rights were proven."""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import urlsplit

from aiohttp import web

from ..requests import Caller, parse_query_string
from ..server import Server

log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether a host name or address stands for this machine itself."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def peer_address(raw: web.BaseRequest) -> str:
    """The address at the other end of the connection."""
    peer = raw.transport.get_extra_info("peername") if raw.transport is not None else None
    return peer[0] if isinstance(peer, tuple) else ""


def client_address(raw: web.BaseRequest) -> str:
    """The address of the client as proxies tell it, else the peer's."""
    forwarded = raw.headers.get("Forwarded", "")
    for part in forwarded.split(",")[0].split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == "for":
            return value.strip('"')
    if via := raw.headers.get("X-Forwarded-For", ""):
        return via.split(",")[0].strip()
    return peer_address(raw)


def caller_of(server: Server, raw: web.BaseRequest, query_string: str) -> Caller:
    """The caller that the options `u`, `app` and `admintoken` describe."""
    if not query_string:
        return NOBODY
    query = parse_query_string(query_string)
    admin = False
    if token := query.get("admintoken"):
        admin = server.is_admin(token)
        if admin:
            log.info("admin request %s %s from %s", raw.method, raw.raw_path.partition("?")[0], peer_address(raw))
    return Caller(query.get("u", ""), query.get("app", ""), admin)


NOBODY = Caller()


def is_local_admin(server: Server, raw: web.BaseRequest) -> bool:
    """Whether a caller without a token may use the admin's routes.

    Only while no token is set and the server listens on loopback: the peer must be this machine, not a proxy for
    others, and neither the Host that was asked nor an Origin may be another's, so that a web page cannot act for its
    reader.
    """
    if server.admin_token or not is_loopback(server.address[0]) or not is_loopback(peer_address(raw)):
        return False
    if "Forwarded" in raw.headers or "X-Forwarded-For" in raw.headers:
        return False
    origin = raw.headers.get("Origin")
    return _is_here("//" + raw.headers.get("Host", "")) and (origin is None or _is_here(origin))


def _is_here(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.username is None and (parts.port or 1) > 0 and is_loopback(parts.hostname or "")
    except ValueError:
        return False
