"""The process `dvid serve`: how it starts, why it does not, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60
FIRST_HALF, SECOND_HALF = b'{"alias": ', b'"drained"}'
START_LINE = re.compile(r"dvid: (http://(\S+):(\d+))  stores? (.+?)  datatypes (\S.*?)(?:  (readonly|fullwrite))?\n")


class Dvid:
    """One `dvid` process in a folder of its own; killed if it outlives its test."""

    def __init__(self, folder: Path, *args: str, token: str = "secret") -> None:
        env = {name: value for name, value in os.environ.items() if name != "DVID_ADMIN_TOKEN"}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        env |= {"DVID_ADMIN_TOKEN": token} if token else {}
        self.errors = folder / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvid_core", *args], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=errors
            )
        self.watchdog = threading.Timer(SECONDS, self.process.kill)
        self.watchdog.start()
        self.line = ""

    @property
    def stdout(self) -> Any:
        assert self.process.stdout
        return self.process.stdout

    def started(self) -> Dvid:
        """Wait for the start line."""
        self.line = self.stdout.readline().decode()
        assert self.line, self.stderr
        return self

    def ended(self) -> int:
        """Wait for the end; gives the exit status."""
        return self.process.wait(SECONDS)

    def stop(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.ended()

    def close(self) -> None:
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self.stdout.close()

    @property
    def stderr(self) -> str:
        return self.errors.read_text()

    @property
    def facts(self) -> tuple[str | Any, ...]:
        """URL, host, port, stores, datatypes, mode of the start line."""
        found = START_LINE.fullmatch(self.line)
        assert found, self.line
        return found.groups()

    def connect(self) -> http.client.HTTPConnection:
        _, host, port, *_ = self.facts
        return http.client.HTTPConnection(host, int(port), timeout=SECONDS)

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = self.connect()
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()


Start = Callable[..., Dvid]


@pytest.fixture
def dvid(tmp_path: Path) -> Iterator[Start]:
    made: list[Dvid] = []

    def start(*args: str, **extra: Any) -> Dvid:
        made.append(Dvid(tmp_path, *args, **extra))
        return made[-1]

    yield start
    for process in made:
        process.close()


def refused(process: Dvid) -> str:
    """The one sentence with which a process ends that did not start."""
    assert process.ended() == 1
    assert process.stdout.read() == b""
    assert process.stderr.startswith("dvid: ") and process.stderr.count("\n") == 1, process.stderr
    return process.stderr


def test_a_start_without_configuration_prints_one_line_and_answers_at_once(dvid: Start, tmp_path: Path) -> None:
    server = dvid("serve", "--http", "127.0.0.1:0").started()
    url, _, _, stores, _, mode = server.facts
    assert url.startswith("http://127.0.0.1:")
    assert stores == f"rocksdb at {tmp_path / 'dvid-data'}"
    assert mode is None
    assert server.ask("GET", "/api/heartbeat") == (200, "OK")
    assert server.stop() == 0
    assert server.stdout.read() == b""


def test_the_command_speaks_to_the_server(dvid: Start) -> None:
    address = dvid("serve", "--http", "127.0.0.1:0").started().facts[0].removeprefix("http://")
    client = dvid("-rpc", address, "repos", "new", "mine", "a description").started()
    assert client.ended() == 0
    assert re.fullmatch(r"[0-9a-f]{32}\n", client.line)


def test_repos_outlive_a_stop(dvid: Start, tmp_path: Path) -> None:
    first = dvid("serve", "--http", "127.0.0.1:0", "--data", "place").started()
    status, reply = first.ask("POST", "/api/repos?admintoken=secret", '{"alias": "kept"}')
    assert status == 200
    assert first.stop(signal.SIGINT) == 0
    second = dvid("serve", "--http", "127.0.0.1:0", "--data", str(tmp_path / "place")).started()
    infos = json.loads(second.ask("GET", "/api/repos/info")[1])
    assert infos[json.loads(reply)["root"]]["Alias"] == "kept"


@pytest.mark.parametrize(
    ("args", "mode"),
    [
        (("serve", "-readonly"), "readonly"),
        (("-readonly", "serve"), "readonly"),
        (("serve", "--fullwrite"), "fullwrite"),
        (("serve",), None),
    ],
)
def test_flags_of_the_reference_set_the_mode(dvid: Start, args: tuple[str, ...], mode: str | None) -> None:
    server = dvid(*args, "-http", "127.0.0.1:0").started()
    assert server.facts[-1] == mode
    status, _ = server.ask("POST", "/api/repos?admintoken=secret", "{}")
    assert status == (400 if mode == "readonly" else 200)


def configure(folder: Path, text: str = "") -> str:
    (folder / "dvid.toml").write_text(
        f'[server]\nhttpAddress = "127.0.0.1:0"\n{text}\n[store.main]\nengine = "rocksdb"\npath = "db"\n'
    )
    return "dvid.toml"


def test_a_configuration_gives_address_store_and_pid_file(dvid: Start, tmp_path: Path) -> None:
    server = dvid("serve", configure(tmp_path, 'pidFile = "run/dvid.pid"\nshutdownDelay = 30')).started()
    pid_file = tmp_path / "run" / "dvid.pid"
    assert server.facts[3] == f"rocksdb at {tmp_path / 'db'}"
    assert int(pid_file.read_text()) == server.process.pid
    assert server.stop() == 0
    assert not pid_file.exists()


def test_the_pid_file_of_a_running_server_survives_a_second_start(dvid: Start, tmp_path: Path) -> None:
    server = dvid("serve", configure(tmp_path, 'pidFile = "dvid.pid"')).started()
    refused(dvid("serve", "dvid.toml"))
    assert int((tmp_path / "dvid.pid").read_text()) == server.process.pid


def test_warnings_go_to_the_log(dvid: Start, tmp_path: Path) -> None:
    server = dvid("serve", configure(tmp_path, 'hots = "x"\n[logging]\nlogfile = "log/dvid.log"')).started()
    assert server.stop() == 0
    logged = (tmp_path / "log" / "dvid.log").read_text()
    assert logged.count("unknown key [server] hots, ignored; did you mean 'host'?") == 1
    assert server.stderr == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:0", "clients on this machine have admin rights"), (":0", "making repos is closed")],
)
def test_a_missing_admin_token_is_mentioned(dvid: Start, address: str, words: str) -> None:
    server = dvid("serve", "--http", address, token="").started()
    assert server.stop() == 0
    assert words in server.stderr


def test_a_port_in_use_is_refused_before_the_store_is_touched(dvid: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        sentence = refused(dvid("serve", "--http", address))
    assert f"cannot listen at {address}: the address is in use" in sentence
    assert not (tmp_path / "dvid-data").exists()


def test_a_host_that_is_not_here_is_refused(dvid: Start) -> None:
    assert "cannot listen at 192.0.2.1:8000" in refused(dvid("serve", "--http", "192.0.2.1:8000"))


def test_a_store_in_use_is_refused_and_its_owner_goes_on(dvid: Start) -> None:
    owner = dvid("serve", "--http", "127.0.0.1:0").started()
    assert "dvid-data" in refused(dvid("serve", "--http", "127.0.0.1:0"))
    assert owner.ask("GET", "/api/repos/info")[0] == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shutdownDelay = 'x'", "dvid.toml: [server] shutdownDelay: expected a number of seconds, got 'x'"),
        ("note =", "dvid.toml: line 3 "),
        ("[auth]\nenforce = 'token'", "dvid.toml: [auth] enforce"),
        ("[store.other]\nengine = 'rocks'\n[backend.default]\nstore = 'main'", "did you mean 'rocksdb'?"),
        ("blockListFile = 'absent'", "absent"),
        ("[logging]\nlogfile = '/dev/null/log'", "[logging] logfile"),
        ("startWebhook = 'http://127.0.0.1:1/'", "[server] startWebhook: expected status 200"),
    ],
)
def test_a_broken_configuration_is_refused_with_a_sentence(dvid: Start, tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(dvid("serve", configure(tmp_path, text)))


def test_verbose_shows_where_a_failure_came_from(dvid: Start, tmp_path: Path) -> None:
    process = dvid("serve", configure(tmp_path, "blockListFile = 'absent'"), "-verbose")
    assert process.ended() == 1
    assert "Traceback" in process.stderr


def test_a_store_of_a_newer_format_is_refused(dvid: Start, tmp_path: Path) -> None:
    from dvid_core.keys import Meta
    from dvid_core.storage.base import Batch
    from dvid_core.storage.rocks import RocksStore

    async def write() -> None:
        store = await RocksStore.open(RocksStore.Config(path=str(tmp_path / "dvid-data")))
        batch = Batch()
        batch.put(Meta.FORMAT.key(), b"999")
        await store.commit(batch)
        await store.aclose()

    asyncio.run(write())
    assert "format 999" in refused(dvid("serve", "--http", "127.0.0.1:0"))


def test_a_foreign_database_is_refused_untouched(dvid: Start, tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000001\n")
    (folder / "000001.vlog").write_text("badger's")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert str(folder) in refused(dvid("serve", configure(tmp_path)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def open_request(server: Dvid) -> http.client.HTTPConnection:
    """A request under way: its handler waits for the second half of the body."""
    connection = server.connect()
    connection.putrequest("POST", "/api/repos?admintoken=secret")
    connection.putheader("Content-Length", str(len(FIRST_HALF + SECOND_HALF)))
    connection.endheaders(FIRST_HALF)
    # The server reads in order of arrival, so an answer to this later request means that the first one is being read.
    assert server.ask("GET", "/api/repos/info")[0] == 200
    return connection


def test_a_stop_lets_running_requests_end_and_refuses_new_ones(dvid: Start) -> None:
    server = dvid("serve", "--http", "127.0.0.1:0").started()
    running = open_request(server)
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + SECONDS
    while (answer := server.ask("GET", "/api/repos/info"))[0] == 200:
        assert time.monotonic() < deadline
    assert answer[0] == 503 and "unavailable" in answer[1]
    running.send(SECOND_HALF)
    reply = running.getresponse()
    assert (reply.status, list(json.loads(reply.read()))) == (200, ["root"])
    running.close()
    assert server.ended() == 0


def test_a_stop_does_not_wait_for_idle_connections(dvid: Start) -> None:
    server = dvid("serve", "--http", "127.0.0.1:0").started()
    idle = server.connect()
    idle.request("GET", "/api/repos/info")
    assert idle.getresponse().read()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 4
    idle.close()


def test_a_second_interrupt_ends_the_wait(dvid: Start) -> None:
    server = dvid("serve", "--http", "127.0.0.1:0").started()
    hanging = open_request(server)
    server.process.send_signal(signal.SIGINT)
    while server.ask("GET", "/api/repos/info")[0] == 200:
        pass
    began = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    hanging.close()


@pytest.mark.parametrize("status", [200, 500])
def test_the_start_webhook_decides(dvid: Start, tmp_path: Path, status: int) -> None:
    told: list[Any] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        url = f"http://127.0.0.1:{hook.server_port}/up"
        server = dvid("serve", configure(tmp_path, f'host = "emdata"\nnote = "n"\nstartWebhook = "{url}"'))
        if status == 200:
            assert server.started().stop() == 0
        else:
            assert "startWebhook" in refused(server)
    finally:
        hook.shutdown()
        thread.join()
        hook.server_close()
    assert told[0].keys() == {"Host", "Note", "HTTP Address", "RPC Address"}
    assert told[0]["Host"].startswith("emdata:") and told[0]["Note"] == "n"
