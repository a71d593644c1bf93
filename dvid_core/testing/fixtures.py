"""A whole server inside a test: `running`, and the pytest fixtures `engine`, `plugins` and `server`.

A `conftest.py` takes them over by importing them:

    from dvid_core.testing.fixtures import engine, plugins, pytest_asyncio_loop_factories, server

    async def test_something(server: RunningServer) -> None:
        uuid = await server.repo()
        place = await server.instance(uuid, "mine", "mytype")
        await server.post(f"{place}/endpoint", b"...")

`server` runs once per `engine`, that is over memory and over RocksDB, with the installed plug-ins and those that the
fixture `plugins` names.  Processes of their own, for crashes, are in `dvid_core.testing.process`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from aiohttp import web
from msgspec.structs import replace

from .. import builtin
from ..config import Backend, Config, StoreSection
from ..server import Server
from ..web.app import make_runner
from .api import Answer, Api
from .process import ServerProcess, process_of

HOST = "127.0.0.1"


def config_of(engine: str, path: Path, **server_settings: Any) -> Config:
    """A configuration with one store of this engine below `path`; settings of [server] by their names in Python."""
    options = {} if engine == "memory" else {"path": str(path / "store")}
    section = StoreSection(engine=engine, alias="default", options=options)
    config = Config(stores={"default": section}, backend=Backend(default="default", metadata="default"))
    return replace(config, server=replace(config.server, **server_settings))


class RunningServer(Api):
    """A server in this process and its address; made by `running`."""

    server: Server

    def __init__(self, config: Config, plugins: Iterable[ModuleType], admin_token: str) -> None:
        super().__init__(admin_token)
        self.config, self.plugins = config, (builtin, *plugins)
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self, **server_settings: Any) -> None:
        """Open the server and listen; `server_settings` replace those of the configuration from now on."""
        listening = socket.create_server((HOST, self.port))
        self.port = listening.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        settings = {"http_address": f"{HOST}:{self.port}", **server_settings}
        self.config = replace(self.config, server=replace(self.config.server, **settings))
        try:
            self.server = await Server.open(self.config, plugins=self.plugins, admin_token=self.admin_token)
        except BaseException:
            listening.close()
            raise
        self._runner = make_runner(self.server)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()
        self._connect()

    async def stop(self) -> None:
        """Close connections and stores; a second call does nothing."""
        runner, self._runner = self._runner, None
        await self._disconnect()
        if runner is not None:
            await runner.cleanup()
            await self.server.aclose()

    async def restart(self, **server_settings: Any) -> None:
        """Stop, and start again over the same stores at the same address; what was in memory is gone."""
        await self.stop()
        await self.start(**server_settings)


@asynccontextmanager
async def running(
    config: Config | str,
    path: Path,
    *,
    plugins: Iterable[ModuleType] = (),
    admin_token: str = "secret",
    **server_settings: Any,
) -> AsyncIterator[RunningServer]:
    """A server on a free port of this machine, from a configuration or the name of an engine.

    `plugins` are modules besides the installed ones; `server_settings` are settings of [server] by their names in
    Python, such as `rwmode="readonly"`.
    """
    found = config_of(config, path) if isinstance(config, str) else config
    server = RunningServer(found, plugins, admin_token)
    try:
        await server.start(**server_settings)
        yield server
    finally:
        await server.stop()


@pytest.fixture(params=["memory", "rocksdb"])
def engine(request: pytest.FixtureRequest) -> str:
    """The storage engines, one after the other."""
    return str(request.param)


@pytest.fixture
def plugins() -> Sequence[ModuleType]:
    """Plug-in modules besides the installed ones; override it to test one that is not installed."""
    return ()


@pytest_asyncio.fixture
async def server(engine: str, plugins: Sequence[ModuleType], tmp_path: Path) -> AsyncIterator[RunningServer]:
    """An empty server whose admin token is "secret"."""
    async with running(engine, tmp_path, plugins=plugins) as found:
        yield found


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the event loop of the real server."""
    return {"uvloop": uvloop.new_event_loop}


__all__ = [
    "Answer", "Api", "RunningServer", "ServerProcess", "config_of", "engine", "plugins", "process_of",
    "pytest_asyncio_loop_factories", "running", "server",
]  # fmt: skip
