"""How long a server takes from its start to its first answer, and the memory it has then and at rest.

    python bench/start.py [--repeat 5] [--server NAME=COMMAND]...

A COMMAND may name {port} and {folder}, an empty folder; without one it is this installation's `dvid serve` with all
datatypes that are installed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

OURS = f"{shlex.quote(sys.executable)} -m dvid_core serve --http 127.0.0.1:{{port}} --data {{folder}}"
PATIENCE = 60.0
REST = 1.0
"""Seconds without work after which a server is at rest."""


@dataclass(frozen=True)
class Start:
    """One start."""

    seconds: float
    """From the command to the first answer."""
    at_once: int
    """Resident bytes at that moment."""
    at_rest: int
    """Resident bytes when it has nothing left to do."""
    types: int
    """Datatypes it knows."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def ask(port: int, path: str) -> bytes:
    """The body of a reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def measure(command: str) -> Start:
    """Start a server in an empty folder, and stop it."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        words = [w.format(port=port, folder=folder) for w in shlex.split(command)]
        begin = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            watched = psutil.Process(process.pid)
            first_answer(process, port, begin + PATIENCE)
            seconds, at_once = time.perf_counter() - begin, watched.memory_info().rss
            types = len(json.loads(ask(port, "/api/server/compiled-types")))
            return Start(seconds, at_once, at_rest(watched), types)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def first_answer(process: subprocess.Popen[bytes], port: int, deadline: float) -> None:
    """Return when the server answers."""
    while True:
        try:
            ask(port, "/api/heartbeat")
            return
        except OSError:
            if process.poll() is not None or time.perf_counter() > deadline:
                sys.exit(f"the server did not start: {shlex.join(map(str, process.args))}")  # type: ignore[arg-type]
            time.sleep(0.002)


def at_rest(watched: psutil.Process) -> int:
    """Resident bytes once the process has used next to no CPU for a while."""
    while True:
        before = watched.cpu_times()
        time.sleep(REST)
        after = watched.cpu_times()
        if after.user + after.system - before.user - before.system < 0.02 * REST:
            return int(watched.memory_info().rss)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="append", default=[], help="NAME=COMMAND")
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args(arguments)
    print(f"{'':12}{'first answer, s':>24}{'MiB then':>10}{'MiB at rest':>13}{'datatypes':>11}")
    for text in chosen.server or [f"ours={OURS}"]:
        name, _, command = text.partition("=")
        starts = [measure(command) for _ in range(chosen.repeat)]
        seconds = sorted(s.seconds for s in starts)
        times = f"{statistics.median(seconds):.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f})"
        then, rest = (statistics.median(v) / 2**20 for v in ([s.at_once for s in starts], [s.at_rest for s in starts]))
        print(f"{name:12}{times:>24}{then:10.0f}{rest:13.0f}{starts[0].types:11}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
