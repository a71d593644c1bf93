"""The process of a server: binds, opens, serves until it is asked to stop, drains, closes."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import json
import logging
import os
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import uvloop
from aiohttp import web

from ..config import Config, ServerSettings, join_address, parse_address
from ..errors import ConfigError
from ..server import Server
from .app import make_runner

HANDLER_SECONDS = 20.0
"""How long running handlers may take after the request to stop; `shutdownDelay` comes on top."""
FORCED_SECONDS = 1.0
POLL_SECONDS = 0.02
WEBHOOK_SECONDS = 30.0

log = logging.getLogger("dvid")


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def run(config: Config, *, on_ready: Callable[[str], None] = say) -> int:
    """Serve until SIGTERM, SIGINT or a request to shut down; gives the exit status.

    `on_ready` gets the start line once clients are answered.  Raises `ConfigError`, `StoreError` or `OSError` when
    the server cannot start; nothing is left open then.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, on_ready))


async def _serve(config: Config, on_ready: Callable[[str], None]) -> int:
    stop = StopSignals()
    async with AsyncExitStack() as stack:
        stack.callback(stop.remove)
        sockets = bind(config.server.http_address)
        for sock in sockets:
            stack.callback(sock.close)
        port = sockets[0].getsockname()[1]
        if config.server.start_webhook or config.server.start_janelia_config:
            await asyncio.to_thread(announce, config.server, port)
        if config.server.pid_file:
            stack.callback(remove_pid, config.server.pid_file)
        server = await Server.open(config)
        stack.push_async_callback(server.aclose)
        if config.server.pid_file:
            write_pid(config.server.pid_file)
        runner = make_runner(server)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        with address_errors(config.server.http_address):
            for sock in sockets:
                await web.SockSite(runner, sock).start()
        tune_garbage_collector()
        on_ready(start_line(config.server, server, port))
        for sentence in notes(server, sockets):
            log.warning(sentence)
        await first_of(stop.asked, server.shutdown_requested)
        log.info("stopping")
        await drain(server, runner, HANDLER_SECONDS + config.server.shutdown_delay, stop.forced)
    log.info("stopped")
    return 0


def tune_garbage_collector() -> None:
    """Leave what the start made out of collections, and collect less often: requests make few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class StopSignals:
    """SIGTERM and SIGINT as events: the first sets `asked`, a SIGINT after it `forced`, a third one kills."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTERM, self.asked.set)
        self._loop.add_signal_handler(signal.SIGINT, self._interrupted)

    def _interrupted(self) -> None:
        if self.asked.is_set():
            self.forced.set()
            self._loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.asked.set()

    def remove(self) -> None:
        """Give the signals back."""
        self._loop.remove_signal_handler(signal.SIGTERM)
        self._loop.remove_signal_handler(signal.SIGINT)


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def drain(server: Server, runner: web.BaseRunner, seconds: float, forced: asyncio.Event) -> None:
    """Refuse new requests and wait for the running ones, for at most so many seconds and not once it is `forced`.

    The socket goes on listening, so that clients are told 503 and not refused a connection.  Handlers that still run
    at the end are cancelled.
    """
    server.draining = True
    network = runner.server
    if network is None:
        return

    async def finish() -> None:
        # aiohttp drops what a closing connection receives, so uploads must have ended before connections are closed.
        while server.traffic.active:  # noqa: ASYNC110 - a plain counter, so that no request pays for the stop
            await asyncio.sleep(POLL_SECONDS)
        network.pre_shutdown()
        await network.shutdown(seconds)

    work = asyncio.ensure_future(finish())
    hurry = asyncio.ensure_future(forced.wait())
    await asyncio.wait((work, hurry), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if work.cancel():
        log.warning("requests are still running and are cancelled")
        await asyncio.wait((work,))
        network.pre_shutdown()
        await network.shutdown(FORCED_SECONDS)


def bind(address: str) -> list[socket.socket]:
    """Sockets bound to all that `address` ("host:port", an empty host: every interface) stands for.

    Raises `ConfigError` with a sentence when that is not possible.
    """
    host, port = parse_address(address)
    sockets: list[socket.socket] = []
    with address_errors(address):
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in dict.fromkeys(found):
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError:  # the kernel was built without this family
                continue
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                # With port 0 the first socket gets a free port, and the others the same.
                taken = sockets[0].getsockname()[1] if sockets else port
                sock.bind((place[0], taken, *place[2:]))
            except OSError as exc:
                sock.close()
                if exc.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                    continue
                for other in sockets:
                    other.close()
                raise
            sockets.append(sock)
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "no such address on this machine")
    return sockets


@contextmanager
def address_errors(address: str) -> Iterator[None]:
    """Turn what the system says against listening at `address` into a `ConfigError`."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            reason = "the address is in use by another process; stop it, or choose another one with --http HOST:PORT"
        else:
            reason = exc.strerror or str(exc)
        raise ConfigError(f"cannot listen at {address}: {reason}") from None


def write_pid(path: Path) -> None:
    """Put this process's id into `path`; folders are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n")
    except OSError as exc:
        raise ConfigError(f"[server] pidFile: {path} cannot be written: {exc.strerror}") from None


def remove_pid(path: Path) -> None:
    """Remove `path` if it holds this process's id: another server may have been given the same file."""
    try:
        if path.read_text() == f"{os.getpid()}\n":
            path.unlink()
    except OSError as exc:
        log.debug("the pid file was not removed: %s", exc)


def announce(settings: ServerSettings, port: int) -> None:
    """Tell the start webhooks of this server; an answer other than 200 is a `ConfigError`.  Blocks."""
    facts = {
        "Host": f"{settings.host or socket.gethostname()}:{port}",
        "Note": settings.note,
        "HTTP Address": settings.http_address,
        "RPC Address": settings.rpc_address,
    }
    text = json.dumps(facts)
    calls = (
        ("startWebhook", settings.start_webhook, text, "application/json"),
        ("startJaneliaConfig", settings.start_janelia_config, urlencode({"config": text}), ""),
    )
    for key, url, body, kind in calls:
        if not url:
            continue
        headers = {"Content-Type": kind or "application/x-www-form-urlencoded"}
        try:
            request = urllib.request.Request(url, body.encode(), headers)
            with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS) as reply:
                status = str(reply.status)
        except (OSError, ValueError) as exc:
            status = str(exc)
        if status != "200":
            raise ConfigError(f"[server] {key}: expected status 200 of {url}, got {status}")


def start_line(settings: ServerSettings, server: Server, port: int) -> str:
    """The line that tells an operator where the server is, where its data lie and what it can do."""
    host = parse_address(settings.http_address)[0] or settings.host or socket.gethostname()
    stores = ", ".join(f"{store.engine} at {store.place}" for store in server.stores.values())
    word = "store" if len(server.stores) == 1 else "stores"
    types = ", ".join(sorted(server.types)) or "none"
    mode = f"  {settings.rwmode}" if settings.rwmode else ""
    return f"dvid: http://{join_address(host, port)}  {word} {stores}  datatypes {types}{mode}"


def notes(server: Server, sockets: list[socket.socket]) -> list[str]:
    """What an operator should know of this start, each once."""
    found = list(dict.fromkeys(server.warnings))
    if not os.environ.get("DVID_ADMIN_TOKEN"):
        hosts = (sock.getsockname()[0].partition("%")[0] for sock in sockets)
        if all(ipaddress.ip_address(host).is_loopback for host in hosts):
            found.append("DVID_ADMIN_TOKEN is not set: clients on this machine have admin rights")
        else:
            found.append("DVID_ADMIN_TOKEN is not set: making repos is closed until it is")
    return found
