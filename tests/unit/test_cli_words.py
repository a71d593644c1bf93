"""The command line: where flags and settings may stand, what commands send, and what they say."""

from __future__ import annotations

import http.server
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from dvid_core.cli import arguments, main, normalise, start_logging
from dvid_core.config import LoggingSettings
from dvid_core.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "words", "unused"),
    [
        ("serve a.toml -readonly", "serve a.toml --readonly", ""),
        ("-readonly -verbose serve a.toml", "serve a.toml --readonly --verbose", ""),
        ("--fullwrite serve", "serve --fullwrite", ""),
        ("-fullwrite=true serve", "serve --fullwrite", ""),
        ("-fullwrite=false serve", "serve", ""),
        ("-http :80 serve --data=/x", "serve --http :80 --data /x", ""),
        ("-rpc localhost:1 repos new a b", "repos new a b --rpc localhost:1", ""),
        ("repos new -rpc=localhost:1 a", "repos new a --rpc localhost:1", ""),
        ("passcode=x repos new a", "repos new a passcode=x", ""),
        ("repo U passcode=x delete a", "repo U delete a passcode=x", ""),
        ("repo U new Tags=a=b keyvalue kv versioned=false", "repo U new keyvalue kv Tags=a=b versioned=false", ""),
        ("-data x=y serve", "serve --data x=y", ""),
        ("node -stdin U kv put k", "node U kv put k --stdin", ""),
        ("node U kv put -stdin -- -rpc a=b", "node U kv put --stdin -- -rpc a=b", ""),
        ("-numcpu 4 -monitor serve", "serve", "numcpu monitor"),
        ("-cpuprofile=x serve", "serve", "cpuprofile"),
        ("help -help", "help --help", ""),
        ("repos new - -x --x =y", "repos new - -x --x =y", ""),
        ("types -rpc", "types --rpc", ""),
        ("", "", ""),
    ],
)
def test_flags_and_settings_may_stand_anywhere(line: str, words: str, unused: str) -> None:
    assert normalise(line.split()) == (words.split(), unused.split())


@pytest.mark.parametrize(
    ("words", "names", "settings", "values"),
    [
        ("a b", "alias description?", "", {"alias": "a", "description": "b"}),
        ("a", "alias description?", "", {"alias": "a"}),
        ("passcode=x a", "alias passcode?", "passcode", {"alias": "a", "passcode": "x"}),
        ("a x", "alias passcode?", "passcode", {"alias": "a", "passcode": "x"}),
        ("kv Tags=a=1,b=2 empty=", "name", "*", {"name": "kv", "Tags": "a=1,b=2", "empty": ""}),
        ("", "type?", "", {}),
    ],
)
def test_words_get_their_names(words: str, names: str, settings: str, values: dict[str, str]) -> None:
    assert arguments(words.split(), names, settings) == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "<alias> is missing"),
        ("passcode=x", "<alias> is missing"),
        ("a b c", "unexpected word 'c'"),
        ("a key=1", "unknown setting 'key'"),
    ],
)
def test_wrong_words_are_named(words: str, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        arguments(words.split(), "alias description?", "passcode")


def run(*args: str, **extra: Any) -> Result:
    return CliRunner().invoke(main, args, **extra)


@pytest.mark.parametrize("args", [(), ("help",), ("-h",), ("-help",), ("--help",), ("-verbose", "help")])
def test_help_lists_the_commands(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 0
    for command in ("serve", "about", "help", "types", "repos", "repo", "node"):
        assert f"\n  {command} " in result.output


@pytest.mark.parametrize("args", [("help", "serve"), ("serve", "-h"), ("-help", "serve")])
def test_help_of_a_command_names_its_flags(args: tuple[str, ...]) -> None:
    output = run(*args).output
    for flag in ("[CONFIG.toml]", "--http HOST:PORT", "--data DIR", "--readonly", "--fullwrite", "--verbose"):
        assert flag in output


def test_help_goes_into_groups() -> None:
    assert "TYPE NAME [key=value]..." in run("help", "repo", "new").output
    assert "[PASSCODE]" in run("help", "repos", "delete").output


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("nix",), "No such command 'nix'"),
        (("help", "repo", "nix"), "no command 'repo nix'"),
        (("repos", "new"), "<alias> is missing"),
        (("repo", "U", "merge"), "<uuid> is missing"),
        (("node", "U", "kv", "put", "k"), "--stdin"),
        (("node", "U", "kv", "get", "k"), "HTTP API"),
        (("types", "-rpc", "nonsense:x"), "--rpc: expected HOST:PORT"),
        (("serve", "absent.toml"), "absent.toml does not exist"),
        (("serve", "-readonly", "-fullwrite"), "readonly or fullwrite"),
        (("serve", "-http", "80"), "--http: expected HOST:PORT"),
    ],
)
def test_failures_are_said_on_stderr_with_status_1(args: tuple[str, ...], sentence: str) -> None:
    result = run(*args)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_unused_flags_of_the_reference_are_ignored_aloud() -> None:
    result = run("-numcpu", "4", "about")
    assert (result.exit_code, result.stderr) == (0, "dvid: -numcpu means nothing to this server, ignored\n")


def test_about_shows_versions_and_loads_no_server() -> None:
    code = (
        "import sys; from dvid_core.cli import main\n"
        "try: main(['about'])\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'aiohttp', 'numpy', 'blosc2', 'rocksdict', 'uvloop'} & sys.modules.keys()\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "dvid-core" in done.stdout and f"Python {sys.version.split()[0]}" in done.stdout


class Recorder(http.server.BaseHTTPRequestHandler):
    """A server that notes what it is asked, and answers as `replies` says."""

    asked: list[tuple[str, str, str]]
    replies: dict[str, tuple[int, str]]

    def do_GET(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, body.decode()))
        status, text = self.replies.get(self.path.partition("?")[0], (200, ""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


class Fake:
    def __init__(self, address: str, handler: type[Recorder]) -> None:
        self.address, self.asked, self.replies = address, handler.asked, handler.replies


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.delenv("DVID_ADMIN_TOKEN", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    handler = type("Handler", (Recorder,), {"asked": [], "replies": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Fake(f"127.0.0.1:{server.server_port}", handler)
    server.shutdown()
    thread.join()
    server.server_close()


CHILD = '{"child": "c0ffee"}'


@pytest.mark.parametrize(
    ("line", "method", "path", "body", "reply", "output"),
    [
        ("types", "GET", "/api/server/types", None, '{"roi": "u", "keyvalue": "v"}', "keyvalue  v\nroi  u\n"),
        ("types roi help", "GET", "/api/help/roi", None, "about roi\n", "about roi\n"),
        ("repos new a d", "POST", "/api/repos", {"alias": "a", "description": "d"}, '{"root": "f00"}', "f00\n"),
        (
            "repos uuid=f00 passcode=p new a",
            "POST",
            "/api/repos",
            {"alias": "a", "root": "f00", "passcode": "p"},
            '{"root": "f00"}',
            "f00\n",
        ),
        ("repos delete f00", "DELETE", "/api/repo/f00", None, "", ""),
        ("repos delete f00 p&q", "DELETE", "/api/repo/f00?passcode=p%26q", None, "gone", "gone\n"),
        (
            "repo a:b/c new keyvalue kv versioned=false Tags=a=1",
            "POST",
            "/api/repo/a:b%2Fc/instance",
            {"typename": "keyvalue", "dataname": "kv", "versioned": "false", "Tags": "a=1"},
            '{"result": "Added kv"}',
            "Added kv\n",
        ),
        ("repo f00 rename kv kw", "POST", "/api/repo/f00/rename", {"from": "kv", "to": "kw"}, "", ""),
        (
            "repo f00 rename kv kw p",
            "POST",
            "/api/repo/f00/rename",
            {"from": "kv", "to": "kw", "passcode": "p"},
            "",
            "",
        ),
        ("repo f00 delete kv", "DELETE", "/api/repo/f00/instance/kv", None, "", ""),
        ("repo f00 delete kv passcode=p", "DELETE", "/api/repo/f00/instance/kv?passcode=p", None, "", ""),
        (
            "repo f00 branch b",
            "POST",
            "/api/node/f00/branch",
            {"branch": "b", "note": "branch of f00"},
            CHILD,
            "c0ffee\n",
        ),
        (
            "repo f00 branch b c0ffee note=n",
            "POST",
            "/api/node/f00/branch",
            {"branch": "b", "uuid": "c0ffee", "note": "n"},
            CHILD,
            "c0ffee\n",
        ),
        ("repo f00 newversion", "POST", "/api/node/f00/newversion", {}, CHILD, "c0ffee\n"),
        ("repo f00 newversion c0ffee", "POST", "/api/node/f00/newversion", {"uuid": "c0ffee"}, CHILD, "c0ffee\n"),
        (
            "repo f00 merge f01, f02",
            "POST",
            "/api/repo/f00/merge",
            {"mergeType": "conflict-free", "parents": ["f00", "f01", "f02"]},
            CHILD,
            "c0ffee\n",
        ),
    ],
)
def test_commands_ask_the_server_over_http(
    fake: Fake, line: str, method: str, path: str, body: dict[str, Any] | None, reply: str, output: str
) -> None:
    fake.replies[path.partition("?")[0]] = (200, reply)
    result = run("-rpc", fake.address, *line.split())
    assert (result.exit_code, result.stdout, result.stderr) == (0, output, "")
    assert fake.asked[0][:2] == (method, path)
    assert (json.loads(fake.asked[0][2]) if fake.asked[0][2] else None) == body


def test_put_streams_standard_input_to_the_key(fake: Fake) -> None:
    result = run("node", "f00", "kv", "put", "a=b/c", "-stdin", "-rpc", fake.address, input="the value")
    assert (result.exit_code, result.stderr) == (0, "")
    assert fake.asked == [("POST", "/api/node/f00/kv/key/a%3Db%2Fc", "the value")]


def test_the_admin_token_of_the_environment_goes_along(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVID_ADMIN_TOKEN", "se cret")
    assert run("repos", "delete", "f00", "p", "--rpc", fake.address).exit_code == 0
    assert fake.asked[0][1] == "/api/repo/f00?passcode=p&admintoken=se+cret"


def test_new_versions_are_noted_in_the_log_of_the_repo(fake: Fake) -> None:
    fake.replies["/api/node/f00/newversion"] = (200, CHILD)
    run("repo", "f00", "newversion", "-rpc", fake.address)
    method, path, body = fake.asked[1]
    assert (method, path, json.loads(body)) == (
        "POST",
        "/api/repo/c0ffee/log",
        {"log": ["newversion of f00: c0ffee"]},
    )


def test_a_log_that_cannot_be_written_does_not_hide_the_new_version(fake: Fake) -> None:
    fake.replies |= {"/api/node/f00/newversion": (200, CHILD), "/api/repo/c0ffee/log": (400, "no")}
    result = run("repo", "f00", "newversion", "-rpc", fake.address)
    assert (result.exit_code, result.stdout) == (0, "c0ffee\n")
    assert result.stderr.endswith("log: no\n")


def test_what_the_server_refuses_is_said_in_its_words(fake: Fake) -> None:
    fake.replies["/api/repo/f00/rename"] = (400, "passcode does not fit\n")
    result = run("repo", "f00", "rename", "a", "b", "-rpc", fake.address)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "dvid: passcode does not fit\n")


def test_another_kind_of_server_is_no_crash(fake: Fake) -> None:
    fake.replies["/api/repos"] = (200, "<html>")
    result = run("repos", "new", "a", "-rpc", fake.address)
    assert (result.exit_code, result.stderr) == (1, "dvid: that is no DVID server: it replied '<html>'\n")


def test_a_server_that_is_not_there_is_one_sentence(fake: Fake) -> None:
    result = run("types", "-rpc", "127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr.startswith("dvid: no DVID server answers at 127.0.0.1:1 ")
    assert "--rpc HOST:PORT" in result.stderr and result.stderr.count("\n") == 1


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield root
    for handler in root.handlers:
        if handler not in before[1]:
            handler.close()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_a_full_log_file_is_put_away_and_old_ones_go(tmp_path: Path, root_logger: logging.Logger) -> None:
    logfile = tmp_path / "made" / "dvid.log"
    start_logging(LoggingSettings(logfile=logfile, max_log_size=1, max_log_age=2), verbose=False)
    for suffix in ("50", "51"):
        logfile.with_name(f"dvid.log.{suffix}").write_text("old")
    os.utime(logfile.with_name("dvid.log.51"), (0, 0))
    line = "x" * 100_000
    for _ in range(12):
        logging.getLogger("dvid").info(line)
    left = sorted(path.name for path in logfile.parent.iterdir())
    assert "dvid.log.1" in left
    assert all(path.stat().st_size <= 1 << 20 for path in logfile.parent.iterdir())
    assert any(path.read_text() == "old" and path.stat().st_mtime > 0 for path in logfile.parent.iterdir())
    assert not any(path.stat().st_mtime == 0 for path in logfile.parent.iterdir())


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_logs_more(tmp_path: Path, root_logger: logging.Logger, verbose: bool) -> None:
    start_logging(LoggingSettings(logfile=tmp_path / "log"), verbose)
    logging.getLogger("dvid").debug("a detail")
    assert ("a detail" in (tmp_path / "log").read_text()) is verbose


def test_a_log_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[logging\] logfile: .*directory: "):
        start_logging(LoggingSettings(logfile=tmp_path), verbose=False)
