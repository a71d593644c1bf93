"""`Server`: a running server as the benchmark sees it, its requests and what they cost."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

ADMIN_TOKEN = os.environ.get("DVID_ADMIN_TOKEN", "secret")
SECONDS = 300.0


class Failed(Exception):
    """Raised when a server answers something that a row did not expect."""


class Server:
    """One of the servers that are compared; each thread has a connection of its own."""

    def __init__(self, name: str, url: str, pid: int | None = None) -> None:
        self.name, self.url = name, url.rstrip("/")
        self.process = psutil.Process(pid) if pid else None
        self._place = urlsplit(self.url)
        self._local = threading.local()
        self._prepared: dict[Any, Any] = {}

    @classmethod
    def parse(cls, text: str) -> Server:
        """A server from NAME=URL[,PID]."""
        name, found, rest = text.partition("=")
        url, _, pid = rest.partition(",")
        if not (name and found and url.startswith("http://") and (not pid or pid.isdecimal())):
            raise ValueError(f"expected NAME=http://HOST:PORT[,PID], got {text!r}")
        return cls(name, url, int(pid) if pid else None)

    def prepared(self, prepare: Any) -> Any:
        """What `prepare(server)` gave; it is called once, however many rows share it."""
        if prepare not in self._prepared:
            self._prepared[prepare] = prepare(self)
        return self._prepared[prepare]

    # -- requests

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of a reply; `Failed` unless its status is 200."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=SECONDS)
            self._local.connection = connection
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            data: bytes = reply.read()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            self._local.connection = None
            raise Failed(f"{method} {path}: {error!r}") from error
        if reply.status != 200:
            raise Failed(f"{method} {path}: {reply.status} {data[:200]!r}")
        return data

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON reply to a POST of bytes or of JSON; None when there is none."""
        data = self.call("POST", path, body if isinstance(body, bytes) else json.dumps(body or {}).encode())
        return json.loads(data) if data.startswith((b"{", b"[")) else None

    def repo(self) -> str:
        """A new repo; the UUID of its root."""
        return str(self.post(f"/api/repos?admintoken={ADMIN_TOKEN}", {"alias": "bench"})["root"])

    def instance(self, uuid: str, typename: str, name: str, **settings: Any) -> str:
        """A new instance; the path of its endpoints."""
        self.post(f"/api/repo/{uuid}/instance", {"typename": typename, "dataname": name, **settings})
        return f"/api/node/{uuid}/{name}"

    def child(self, uuid: str) -> str:
        """Commit a version and make the next one."""
        self.post(f"/api/node/{uuid}/commit", {"note": "bench"})
        return str(self.post(f"/api/node/{uuid}/newversion", {"note": "bench"})["child"])

    # -- costs; None when the process is not known

    def _family(self) -> list[psutil.Process]:
        return [] if self.process is None else [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float | None:
        """CPU time of the server and its children so far."""
        times = [p.cpu_times() for p in self._family()]
        return sum(t.user + t.system for t in times) if times else None

    def resident_bytes(self) -> int | None:
        """Memory that they occupy now."""
        sizes = [p.memory_info().rss for p in self._family()]
        return sum(sizes) if sizes else None

    def pin(self, cores: list[int]) -> None:
        """Let all their threads run on these cores only."""
        for process in self._family():
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)
