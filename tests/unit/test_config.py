"""The configuration: what a file means, what is mended with a warning, and what is refused with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvid_core.config import (
    Config,
    check_engines,
    default_config,
    join_address,
    load_config,
    parse_address,
    parse_config,
    unknown_options,
    with_flags,
)
from dvid_core.errors import ConfigError

BASE = Path("/etc/dvid")
STORE = '[store.main]\nengine = "rocksdb"\npath = "data"\n'
UUID = "99ef22cd85f143f58a623bd22aad0ef7"
MADE_IN = "0123456789abcdef0123456789abcdef"

REFERENCE = """
[server]
host = "mygreatserver.test.com"
httpAddress = ":8000"
rpcAddress = ":8001"
webClient = "./http/dvid-web-console"
webDefaultFile = "index.html"
corsDomains = ["http://example.com"]
shutdownDelay = 0

[logging]
logfile = "/demo/logs/dvid.log"
max_log_size = 500 # MB
max_log_age = 30   # days

[backend]
    [backend.default]
    store = "raid6"
    log = "mutationlog"

[store]
    [store.raid6]
    engine = "basholeveldb"
    path = "/tmp/basholeveldb"

    [store.mutationlog]
    engine = "filelog"
    path = "/data/mutationlog"
"""


def parse(text: str) -> Config:
    return parse_config(text, BASE)


def test_a_configuration_written_for_the_reference_is_served() -> None:
    config = parse(REFERENCE)
    assert config.server.http_address == ":8000"
    assert config.server.web_client == BASE / "http/dvid-web-console"
    assert config.server.cors_domains == ("http://example.com",)
    assert config.server.shutdown_delay == 0
    assert (config.logging.logfile, config.logging.max_log_size) == (Path("/demo/logs/dvid.log"), 500)
    assert config.stores["raid6"].engine == "rocksdb"
    assert config.stores["raid6"].options == {"path": "/tmp/basholeveldb"}
    assert (list(config.stores), list(config.logs)) == (["raid6"], ["mutationlog"])
    assert (config.backend.default, config.backend.default_log) == ("raid6", "mutationlog")
    assert config.text == REFERENCE
    assert len(config.warnings) == 2
    assert "basholeveldb" in config.warnings[0] and "RocksDB" in config.warnings[0]
    assert "filelog" in config.warnings[1]


def test_without_a_file_one_rocksdb_store_lies_in_the_data_folder(tmp_path: Path) -> None:
    config = default_config(tmp_path / "dvid-data")
    assert [(s.engine, s.options["path"]) for s in config.stores.values()] == [("rocksdb", str(tmp_path / "dvid-data"))]
    assert config.server.http_address == "127.0.0.1:8000"
    assert config.backend.choose("", "a", "", None, "keyvalue") in config.stores
    assert not config.warnings


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('httpAddress = "localhost:1234"', "http_address", "localhost:1234"),
        ('HTTPADDRESS = "localhost"', "http_address", "localhost:8000"),
        ('httpaddress = "[::1]:80"', "http_address", "[::1]:80"),
        ('rpcAddress = ":8001"', "rpc_address", ":8001"),
        ('host = "emdata"', "host", "emdata"),
        ('note = """two\nlines"""', "note", "two\nlines"),
        ('webClient = "/www"', "web_client", Path("/www")),
        ('webClient = ""', "web_client", None),
        ('webRedirectPath = "/index.html"', "web_redirect_path", "/index.html"),
        ('webDefaultFile = "index.html"', "web_default_file", "index.html"),
        ('pidFile = "../run/dvid.pid"', "pid_file", Path("/etc/run/dvid.pid")),
        ('corsDomains = ["*"]', "cors_domains", ("*",)),
        ("allowTiming = true", "allow_timing", True),
        ('rwmode = "readonly"', "rwmode", "readonly"),
        ('blockListFile = "blocked"', "block_list_file", BASE / "blocked"),
        ("allowLabelmapSplit = true", "allow_labelmap_split", True),
        ('instance_id_gen = "random"', "instance_id_gen", "random"),
        ("instance_id_start = 100", "instance_id_start", 100),
        ("min_mutation_id_start = 5", "min_mutation_id_start", 5),
        ("interactiveOpsBeforeBlock = 10", "interactive_ops_before_block", 10),
        ("shutdownDelay = 0.5", "shutdown_delay", 0.5),
        ("shutdownDelay = 7", "shutdown_delay", 7),
        ('startWebhook = "http://monitor/up"', "start_webhook", "http://monitor/up"),
        ('startJaneliaConfig = "http://monitor/up"', "start_janelia_config", "http://monitor/up"),
    ],
)
def test_keys_of_server(line: str, name: str, value: Any) -> None:
    config = parse(f"[Server]\n{line}\n{STORE}")
    assert getattr(config.server, name) == value
    idle = name in ("instance_id_gen", "instance_id_start", "interactive_ops_before_block")
    assert [w.endswith("has no effect on this server") for w in config.warnings] == [True] * idle


def test_paths_are_absolute_against_the_folder_of_the_file() -> None:
    config = parse(f'[mutations]\njsonstore = "json"\n[logging]\nlogfile = "log/dvid.log"\n{STORE}')
    assert config.mutations.jsonstore == BASE / "json"
    assert config.logging.logfile == BASE / "log/dvid.log"
    assert config.stores["main"].options["path"] == "/etc/dvid/data"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nshutdownDelay = 'x'", "[server] shutdownDelay: expected a number of seconds, got 'x'"),
        ("[server]\nshutdowndelay = -1", "[server] shutdownDelay: expected a number of seconds, got -1"),
        ("[server]\nshutdownDelay = true", "[server] shutdownDelay: expected a number of seconds, got True"),
        ("[server]\nshutdownDelay = inf", "[server] shutdownDelay: expected a number of seconds, got inf"),
        ("[server]\nallowTiming = 1", "[server] allowTiming: expected true or false, got 1"),
        ("[server]\nhost = 3", "[server] host: expected a text, got 3"),
        ("[server]\nwebClient = 3", "[server] webClient: expected a path, got 3"),
        ("[server]\ninstance_id_start = '3'", "[server] instance_id_start: expected a whole number"),
        ("[server]\ninstance_id_start = 4294967296", "[server] instance_id_start: expected a whole number"),
        ("[server]\nmin_mutation_id_start = 1.5", "[server] min_mutation_id_start: expected a whole number"),
        ("[server]\nrwmode = 'both'", "[server] rwmode: expected one of 'readonly', 'fullwrite'"),
        ("[server]\nrwmode = []", "[server] rwmode: expected one of 'readonly', 'fullwrite'"),
        ("[server]\ninstance_id_gen = 'x'", "[server] instance_id_gen: expected one of 'sequential', 'random'"),
        ("[server]\ncorsDomains = '*'", "[server] corsDomains: expected a list of origins, got '*'"),
        ("[server]\ncorsDomains = [1]", "[server] corsDomains: expected a list of origins, got [1]"),
        ("[server]\nhttpAddress = 'localhost:http'", "[server] httpAddress: expected HOST:PORT"),
        ("[logging]\nmax_log_size = '500'", "[logging] max_log_size: expected a whole number"),
        ("[mutations]\njsonstore = 1", "[mutations] jsonstore: expected a path, got 1"),
        ("server = 3", "[server]: expected a section, got 3"),
        ("backend = 3", "[backend]: expected a section, got 3"),
        ("[server]\nhost = 'a'\nHOST = 'b'", "[server] HOST: given twice"),
        ("[server]\n[Server]", "Server: given twice"),
        ("[store]\nx = 1", "[store.x]: expected a section, got 1"),
        ("[store]\ndurable = 'some'", "[store] durable: expected one of 'all', 'edits', 'none', got 'some'"),
        ("[store.x]\npath = 'a'", "[store.x] engine: expected the name of an engine"),
        ("[store.x]\nengine = 1", "[store.x] engine: expected a text, got 1"),
        ("[store.x]\nengine = 'rocksdb'\npath = ['http://a']", "[store.x] path: expected a text"),
        ("[store.x]\nengine = 'rocksdb'\npath = './data'", "[store.x] and [store.main] have one path, /etc/dvid/data"),
        ("[store.x]\nengine = 'filelog'\npath = 'data/'", "[store.x] and [store.main] have one path"),
        ("[store.x]\nengine = 'memory'", "[backend.default] store: say which of the stores x, main"),
        (
            "[backend.default]\nstore = 'mian'",
            "[backend.default] store: no section [store.mian] fits; did you mean 'main'?",
        ),
        ("[backend.metadata]\nstore = 'x'", "[backend.metadata] store: no section [store.x] fits"),
        ("[backend.keyvalue]\nlog = 'x'", "[backend.keyvalue] log: no section [store.x] fits"),
        ("[backend.keyvalue]\nlog = 'main'", "[backend.keyvalue] log: no section [store.main] fits"),
        ("[backend.keyvalue]\nstore = 1", "[backend.keyvalue] store: expected a text, got 1"),
        ("[backend]\ndefault = 'main'", "[backend.default]: expected a section, got 'main'"),
    ],
)
def test_wrong_values_are_refused_naming_section_key_and_expectation(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{text}\n{STORE}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"), [("[server]\nhost = \n", 2), ("[server\n", 1), ("[server]\n\nhost == 3", 3), ('a = """', 1)]
)
def test_text_that_is_no_toml_is_refused_with_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "dvid.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: line {line} ")


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[server]\nhtpAddress = ':80'", "[server] htpAddress", "'httpAddress'"),
        ("[server]\nPIDFIL = 'x'", "[server] PIDFIL", "'pidFile'"),
        ("[logging]\nlogfiles = 'x'", "[logging] logfiles", "'logfile'"),
        ("[mutations]\njsonstor = 'x'", "[mutations] jsonstor", "'jsonstore'"),
        ("[backend.keyvalue]\nstor = 'main'", "[backend.keyvalue] stor", "'store'"),
        ("[servr]\nhost = 'x'", "[servr]", "'server'"),
        ("[stores.x]\nengine = 'rocksdb'", "[stores]", "'store'"),
        ("httpAddress = 'x'", "[httpAddress]", ""),
        ("[server]\nzzzzzz = 1", "[server] zzzzzz", ""),
    ],
)
def test_unknown_names_are_warnings_with_the_nearest_known_one(text: str, key: str, near: str) -> None:
    (warning,) = parse(f"{text}\n{STORE}").warnings
    assert key in warning
    assert (f"did you mean {near}?" in warning) if near else ("did you mean" not in warning)


@pytest.mark.parametrize("name", ["email", "kafka", "cache", "mutcache", "groupcache", "mirror", "Kafka"])
def test_sections_of_later_issues_are_ignored_with_a_warning(name: str) -> None:
    (warning,) = parse(f"[{name}.all]\nx = 1\n{STORE}").warnings
    assert warning == f"[{name.lower()}] is not yet supported, ignored"


@pytest.mark.parametrize("key", ["httpstore", "blobstore"])
def test_keys_of_later_issues_are_ignored_with_a_warning(key: str) -> None:
    (warning,) = parse(f"[mutations]\n{key} = 'kafka:x'\n{STORE}").warnings
    assert warning == f"[mutations] {key} is not yet supported, ignored"


@pytest.mark.parametrize(
    "auth",
    [
        "enforce = 'token'",
        "Enforce = 'authfile'",
        "enforce = 'dsg'\nno_enforce = true",
        "enforce = 'nonsense'",
        "enforce = true",
        "enforce = 'none'\nenforce_internal = 'token'",
        "proxy_address = 'localhost:5000'",
        "proxy_address = 'localhost:5000'\nno_enforce = false",
    ],
)
def test_what_was_to_be_protected_is_not_served(auth: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[auth\] enforce"):
        parse(f"[auth]\n{auth}\n{STORE}")


@pytest.mark.parametrize(
    ("auth", "warned"),
    [
        ("enforce = 'none'", False),
        ("enforce = ''", False),
        ("", False),
        ("enforce = 'none'\nauth_file = 'users.json'", True),
        ("proxy_address = 'localhost:5000'\nno_enforce = true", True),
        ("proxy_address = 'localhost:5000'\nenforce = 'none'", True),
    ],
)
def test_what_was_to_be_open_is_served(auth: str, warned: bool) -> None:
    assert parse(f"[auth]\n{auth}\n{STORE}").warnings == ("[auth] is not yet supported, ignored",) * warned


BACKENDS = f"""
[store.main]
engine = "rocksdb"
path = "main"
[store.one]
engine = "memory"
[store.two]
engine = "memory"
[store.three]
engine = "memory"
[store.four]
engine = "memory"
[store.log]
engine = "filelog"
path = "log"

[backend.Default]
store = "main"
[backend.metadata]
store = "four"
[backend.keyvalue]
store = "one"
log = "log"
[backend."kind=meshes"]
store = "two"
[backend."kind=skeletons"]
log = "log"
[backend."speed=fast"]
store = "one"
[backend."bodies:{MADE_IN}"]
store = "three"
[backend."{UUID}"]
store = "four"
"""


@pytest.mark.parametrize(
    ("data_uuid", "name", "made_in", "tags", "typename", "alias"),
    [
        (UUID, "bodies", MADE_IN, {"kind": "meshes"}, "keyvalue", "four"),
        ("x", "bodies", MADE_IN, {"kind": "meshes"}, "keyvalue", "three"),
        ("x", "bodies", "other", {"kind": "meshes"}, "keyvalue", "two"),
        ("x", "Bodies", MADE_IN, {"kind": "meshes"}, "keyvalue", "two"),
        ("x", "bodies", "other", {"speed": "fast", "kind": "meshes"}, "labelmap", "two"),
        ("x", "bodies", "other", {"kind": "skeletons", "speed": "fast"}, "labelmap", "one"),
        ("x", "bodies", "other", {"kind": "skeletons"}, "keyvalue", "one"),
        ("x", "bodies", "other", {"kind": "Meshes"}, "labelmap", "main"),
        ("x", "bodies", "other", None, "keyvalue", "one"),
        ("x", "bodies", "other", None, "KeyValue", "main"),
        ("x", "bodies", "other", {}, "roi", "main"),
        ("x", "bodies", "other", {}, "metadata", "main"),
    ],
)
def test_the_first_assignment_that_fits_gives_the_store(
    data_uuid: str, name: str, made_in: str, tags: dict[str, str] | None, typename: str, alias: str
) -> None:
    assert parse(BACKENDS).backend.choose(data_uuid, name, made_in, tags, typename) == alias


def test_logs_are_assigned_by_the_same_order_and_may_be_absent() -> None:
    backend = parse(BACKENDS).backend
    assert backend.metadata == "four"
    assert backend.log_for("x", "a", "y", None, "keyvalue") == "log"
    assert backend.log_for("x", "a", "y", {"kind": "skeletons"}, "roi") == "log"
    assert backend.log_for("x", "a", "y", None, "roi") == ""


def test_metadata_lie_in_the_default_store_unless_assigned() -> None:
    assert parse(STORE).backend.metadata == "main"


def test_a_backend_that_can_fit_no_instance_is_a_warning() -> None:
    (warning,) = parse(f'[backend."type:meshes"]\nstore = "main"\n{STORE}').warnings
    assert '[backend."type:meshes"]' in warning and "tag=value" in warning


@pytest.mark.parametrize("own", ["", 'durable = "none"'])
def test_durable_of_all_stores_gives_way_to_that_of_one(own: str) -> None:
    config = parse(f'[store]\nDurable = "all"\n{STORE}{own}')
    assert config.stores["main"].options["durable"] == ("none" if own else "all")


def test_options_of_a_store_keep_their_values_under_lower_case_names() -> None:
    section = parse('[store.Main]\nEngine = "Memory"\nCache = 3\nUrl = "http://x"').stores["Main"]
    assert (section.engine, section.alias, section.options) == ("memory", "Main", {"cache": 3, "url": "http://x"})
    assert unknown_options(section, ["caches", "url"]) == [
        "unknown key [store.Main] cache, ignored; did you mean 'caches'?"
    ]


def test_a_missing_store_needs_the_data_flag_and_a_named_one_forbids_it() -> None:
    with pytest.raises(ConfigError, match="no store"):
        parse("[server]\n")
    assert parse_config("[server]\n", BASE, Path("/x")).stores["default"].options["path"] == "/x"
    with pytest.raises(ConfigError, match="--data"):
        parse_config(STORE, BASE, Path("/x"))


@pytest.mark.parametrize(
    ("engine", "message"),
    [("kvautobus", "no engine 'kvautobus' is installed (there are: memory, rocksdb)"), ("rocks", "'rocksdb'?")],
)
def test_unknown_engines_are_refused(engine: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_engines(parse(f'[store.x]\nengine = "{engine}"'), {"rocksdb", "memory"})
    assert message in str(caught.value) and "[store.x]" in str(caught.value)


def test_installed_engines_pass() -> None:
    check_engines(parse(BACKENDS), {"rocksdb", "memory"})
    check_engines(parse('[store.x]\nengine = "postgres"'), {"postgres"})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:8001", "localhost", 8001),
        ("localhost", "localhost", 8000),
        (":8000", "", 8000),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:8000", "::1", 8000),
        ("[fe80::1%eth0]", "fe80::1%eth0", 8000),
        (" emdata1.int.janelia.org:65535 ", "emdata1.int.janelia.org", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)
    assert parse_address(join_address(host, port)) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", " ", ":", "8000", "localhost:", "a:b", "a:1:2", "::1", "a:65536", "http://a:80", "a/b:80", "[]:80", "a b:1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_address(text)


@pytest.mark.parametrize(
    ("in_file", "readonly", "fullwrite", "mode"),
    [
        ("", False, False, ""),
        ("", True, False, "readonly"),
        ("", False, True, "fullwrite"),
        ("readonly", False, False, "readonly"),
        ("readonly", True, False, "readonly"),
        ("", True, True, None),
        ("fullwrite", True, False, None),
        ("readonly", False, True, None),
    ],
)
def test_flags_and_file_agree_on_one_mode(in_file: str, readonly: bool, fullwrite: bool, mode: str | None) -> None:
    config = parse(f"[server]\nrwmode = '{in_file}'\n{STORE}")
    if mode is None:
        with pytest.raises(ConfigError, match="readonly or fullwrite"):
            with_flags(config, readonly=readonly, fullwrite=fullwrite)
    else:
        assert with_flags(config, readonly=readonly, fullwrite=fullwrite).server.rwmode == mode


def test_the_http_flag_goes_before_the_file() -> None:
    config = parse(f"[server]\nhttpAddress = ':1'\n{STORE}")
    assert with_flags(config).server.http_address == ":1"
    assert with_flags(config, http="localhost:2").server.http_address == "localhost:2"
    with pytest.raises(ConfigError, match="--http"):
        with_flags(config, http="2")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml cannot be read"):
        load_config(tmp_path / "latin.toml")


def test_relative_paths_of_a_file_start_at_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dvid.toml").write_text(STORE)
    monkeypatch.chdir(tmp_path.parent)
    config = load_config(Path(tmp_path.name) / "dvid.toml")
    assert config.stores["main"].options["path"] == str(tmp_path / "data")
    assert config.path == tmp_path / "dvid.toml"
