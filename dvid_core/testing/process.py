"""`ServerProcess`: a server as a process of its own, to be stopped and killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from .api import Api

START_LINE = re.compile(r"dvid: (http://\S+)  ")
POLL_SECONDS = 0.02


class ServerProcess(Api):
    """`python -m dvid_core serve` over a folder; `process_of` stops it at the end of a test.

    `plugins` are names of modules besides the installed plug-ins; the process finds them as if they were installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        args: Iterable[str] = (),
        plugins: Iterable[str] = (),
        admin_token: str = "secret",
        patience: float = 60,
    ) -> None:
        super().__init__(admin_token)
        self.path, self.args, self.patience = path, tuple(args), patience
        self.process: subprocess.Popen[bytes] | None = None
        self.log = path / "stderr.log"
        """What the process wrote to its standard error, over all its starts."""
        self._place = path / "plugins"
        self._write_plugins(("dvid_core.builtin", *plugins))

    def _write_plugins(self, modules: Iterable[str]) -> None:
        """Metadata of a distribution that has these entry points; registering a module twice does no harm."""
        folder = self._place / "dvid_under_test-0.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: dvid-under-test\nVersion: 0\n")
        lines = [f"under_test_{n} = {module}\n" for n, module in enumerate(modules)]
        (folder / "entry_points.txt").write_text("[dvid]\n" + "".join(lines))

    def _launch(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(self._place), *filter(None, sys.path)])
        env = {**os.environ, "PYTHONPATH": path, "DVID_ADMIN_TOKEN": self.admin_token}
        command = [sys.executable, "-m", "dvid_core", "serve", "--http", "127.0.0.1:0", "--data", "data", *self.args]
        with self.log.open("ab") as errors:
            return subprocess.Popen(command, cwd=self.path, env=env, stdout=subprocess.PIPE, stderr=errors)

    async def start(self) -> None:
        """Start over the folder's data, and return when the server answers."""
        assert self.process is None, "the process runs already"
        self.process = self._launch()
        watchdog = threading.Timer(self.patience, self.process.kill)
        watchdog.start()
        try:
            assert self.process.stdout is not None
            line = (await asyncio.to_thread(self.process.stdout.readline)).decode()
            found = START_LINE.match(line)
            assert found, f"the server did not start: {line or self.errors}"
            self.url = found[1]
            self._connect()
            await self._answering()
        finally:
            watchdog.cancel()

    async def _answering(self) -> None:
        async with asyncio.timeout(self.patience):
            while True:
                try:
                    await self.get("/api/heartbeat")
                    return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(POLL_SECONDS)

    @property
    def errors(self) -> str:
        """The log as text."""
        return self.log.read_text(errors="replace")

    async def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Ask the process to stop (SIGTERM), and give its exit status."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> int:
        await self._disconnect()
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return await asyncio.to_thread(process.wait, self.patience)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@asynccontextmanager
async def process_of(
    path: Path,
    *,
    args: Iterable[str] = (),
    plugins: Iterable[str] = (),
    admin_token: str = "secret",
    patience: float = 60,
) -> AsyncIterator[ServerProcess]:
    """A started `ServerProcess` in the folder `path`, killed at the end if it still runs."""
    found = ServerProcess(path, args=args, plugins=plugins, admin_token=admin_token, patience=patience)
    try:
        await found.start()
        yield found
    finally:
        await found.kill()
