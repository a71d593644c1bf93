"""The benchmark runs; what it measures is for people and not looked at here."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dvid_keyvalue

from dvid_core.testing.fixtures import running

BENCH = Path(__file__).parents[2] / "bench"


async def bench(program: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of the benchmark to its end."""
    env = {**os.environ, "DVID_ADMIN_TOKEN": "secret", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if path is not None:
        env["PATH"] = path
    command = [sys.executable, str(BENCH / program), *arguments]
    return await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=120)


async def test_two_servers_are_compared_row_by_row(tmp_path: Path) -> None:
    async with running("memory", tmp_path, plugins=[dvid_keyvalue]) as server:
        servers = [f"--server={name}={server.url},{os.getpid()}" for name in ("one", "two")]
        report = tmp_path / "report.json"
        done = await bench(
            "bench.py",
            *servers,
            "--only",
            "versions/keyrange-100",
            "--repeat",
            "2",
            "--json",
            str(report),
            path="/nowhere",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "versions/keyrange-100-deep" in done.stdout
    measured = json.loads(report.read_text())
    assert {name: len(runs) for name, runs in measured["versions/keyrange-100-deep"].items()} == {"one": 2, "two": 2}
    assert measured["resident bytes"].keys() == {"one", "two"}


async def test_a_server_that_fails_is_named_and_the_end_is_an_error() -> None:
    done = await bench(
        "bench.py", "--server", "gone=http://127.0.0.1:1", "--only", "versions/keyrange-100", path="/nowhere"
    )
    assert done.returncode == 1
    assert "gone: " in done.stdout
    assert "Traceback" not in done.stderr


async def test_what_is_missing_is_said_before_anything_runs() -> None:
    done = await bench("bench.py", "--server", "one=http://127.0.0.1:1", "--only", "kv/get-1KB", path="/nowhere")
    assert done.returncode == 1
    assert "wrk" in done.stderr and "Traceback" not in done.stderr
    for arguments in ([], ["--server", "nonsense"], ["--server", "a=http://127.0.0.1:1", "--pin"]):
        done = await bench("bench.py", *arguments)
        assert done.returncode == 2
        assert "--server" in done.stderr or "--pin" in done.stderr


async def test_all_rows_have_names_of_their_own_and_say_what_they_do() -> None:
    done = await bench("bench.py", "--list")
    assert done.returncode == 0
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert all(len(row) == 2 and "/" in row[0] for row in rows)
    assert max(Counter(name for name, _ in rows).values()) == 1


async def test_a_start_is_measured() -> None:
    done = await bench("start.py", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
