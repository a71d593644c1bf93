"""The configuration of a server: one TOML file, read into frozen values.

Pure but for `load_config`, which reads the file.  Names of sections and keys are taken in any case; what can be
mended is a warning, what would start another server than the one described is a `ConfigError`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from msgspec import Struct, field
from msgspec.structs import replace

from .errors import ConfigError
from .storage.base import Durability

DEFAULT_PORT = 8000
ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^\s:/\[\]]*))(?::(?P<port>\d{1,5}))?")
INSTANCE_SPEC = re.compile(r".+:[0-9a-f]{32}")

REPLACED_ENGINES = ("badger", "basholeveldb")
"""Engines of the reference whose stores are served by RocksDB."""
OWN_ENGINES = ("rocksdb", "memory")
"""Engines that come with the core, which are never log sinks."""
LOG_ENGINES = ("filelog",)
"""Engines of `[store.<alias>]` sections that are log sinks, not stores."""
SECTIONS = ("server", "logging", "store", "backend", "mutations", "plugin")
IDLE_KEYS = ("instance_id_gen", "instance_id_start", "interactiveopsbeforeblock")
"""Keys of [server] that are checked and have no effect here."""
LATER_SECTIONS = ("auth", "email", "kafka", "cache", "mutcache", "groupcache", "mirror")
LATER_KEYS = {"mutations": ("httpstore", "blobstore")}


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port", "host", ":port" or "[ipv6]:port"; an empty host means all interfaces.

    Raises `ValueError` when it is none of these.
    """
    found = ADDRESS.fullmatch(text.strip())
    if not found or not (found["v6"] or found["host"] or found["port"]) or (found["host"] or "").isdecimal():
        raise ValueError(f"expected HOST:PORT or :PORT, got {text!r}")
    port = int(found["port"] or DEFAULT_PORT)
    if port > 65535:
        raise ValueError(f"expected a port up to 65535, got {text!r}")
    return found["v6"] or found["host"] or "", port


def join_address(host: str, port: int) -> str:
    """The text of an address, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Kind(Struct, frozen=True):
    """How a value of the file becomes a field: `read(value, base)` raises `ValueError` unless it is as `expected`."""

    expected: str
    read: Callable[[Any, Path], Any]


def _of(*types: type, such: Callable[[Any], bool] = lambda value: True) -> Callable[[Any, Path], Any]:
    """A reader that lets values of exactly these types pass, so that true is no number."""

    def read(value: Any, base: Path) -> Any:
        if type(value) not in types or not such(value):
            raise ValueError
        return tuple(value) if types == (list,) else value

    return read


def _place(value: Any, base: Path) -> Path | None:
    text = _of(str)(value, base)
    return Path(os.path.normpath(base / Path(text).expanduser())) if text else None


def _one_of(*words: str) -> Kind:
    return Kind("one of " + ", ".join(map(repr, words)), _of(str, such=lambda v: v in words))


TEXT = Kind("a text", _of(str))
SWITCH = Kind("true or false", _of(bool))
COUNT = Kind("a whole number, 0 or more", _of(int, such=lambda v: v >= 0))
ID = Kind("a whole number from 1 to 4294967295", _of(int, such=lambda v: 1 <= v < 1 << 32))
SECONDS = Kind("a number of seconds", _of(int, float, such=lambda v: 0 <= v < 1e6))
PLACE = Kind("a path", _place)
HOST_PORT = Kind("HOST:PORT", lambda value, base: join_address(*parse_address(_of(str)(value, base))))
ORIGINS = Kind("a list of origins", _of(list, such=lambda v: all(isinstance(o, str) for o in v)))
DURABLE = _one_of(*get_args(Durability))


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The section [server]; paths are absolute, addresses are "host:port"."""

    http_address: Annotated[str, HOST_PORT] = field(default=f"127.0.0.1:{DEFAULT_PORT}", name="httpAddress")
    rpc_address: Annotated[str, HOST_PORT] = field(default="localhost:8001", name="rpcAddress")
    host: Annotated[str, TEXT] = ""
    note: Annotated[str, TEXT] = ""
    web_client: Annotated[Path | None, PLACE] = field(default=None, name="webClient")
    web_redirect_path: Annotated[str, TEXT] = field(default="", name="webRedirectPath")
    web_default_file: Annotated[str, TEXT] = field(default="", name="webDefaultFile")
    pid_file: Annotated[Path | None, PLACE] = field(default=None, name="pidFile")
    cors_domains: Annotated[tuple[str, ...], ORIGINS] = field(default=(), name="corsDomains")
    allow_timing: Annotated[bool, SWITCH] = field(default=False, name="allowTiming")
    rwmode: Annotated[str, _one_of("readonly", "fullwrite", "")] = ""
    block_list_file: Annotated[Path | None, PLACE] = field(default=None, name="blockListFile")
    allow_labelmap_split: Annotated[bool, SWITCH] = field(default=False, name="allowLabelmapSplit")
    instance_id_gen: Annotated[str, _one_of("sequential", "random")] = "sequential"
    instance_id_start: Annotated[int, ID] = 1
    min_mutation_id_start: Annotated[int, COUNT] = 1_000_000_000
    interactive_ops_before_block: Annotated[int, COUNT] = field(default=0, name="interactiveOpsBeforeBlock")
    shutdown_delay: Annotated[float, SECONDS] = field(default=5, name="shutdownDelay")
    start_webhook: Annotated[str, TEXT] = field(default="", name="startWebhook")
    start_janelia_config: Annotated[str, TEXT] = field(default="", name="startJaneliaConfig")


class LoggingSettings(Struct, frozen=True, kw_only=True):
    """The section [logging]: MB a file may grow to (0: 100), days that full ones stay (0: any; 99 files at most)."""

    logfile: Annotated[Path | None, PLACE] = None
    max_log_size: Annotated[int, COUNT] = 0
    max_log_age: Annotated[int, COUNT] = 0


class MutationsSettings(Struct, frozen=True, kw_only=True):
    """The section [mutations]."""

    jsonstore: Annotated[Path | None, PLACE] = None


class StoreSection(Struct, frozen=True, kw_only=True):
    """One section [store.<alias>]; `options` without the engine, their names in lower case, "path" absolute."""

    engine: str
    alias: str
    options: dict[str, Any] = {}


class Rule(Struct, frozen=True, kw_only=True):
    """One section [backend.<spec>] with the aliases it names, "" where it names none."""

    spec: str
    store: Annotated[str, TEXT] = ""
    log: Annotated[str, TEXT] = ""


class Backend(Struct, frozen=True, kw_only=True):
    """Which store and which log an instance gets, as aliases."""

    default: str
    metadata: str
    default_log: str = ""
    rules: tuple[Rule, ...] = ()

    def choose(
        self, data_uuid: str, name: str, made_in_uuid: str, tags: Mapping[str, str] | None, typename: str
    ) -> str:
        """The store: the first that is given for data UUID, name:uuid, tag=value, type, default.

        Of several tags that fit, the one that stands first in the configuration counts.
        """
        stores = {rule.spec: rule.store for rule in self.rules if rule.store}
        return _first(stores, data_uuid, f"{name}:{made_in_uuid}", tags, typename) or self.default

    def log_for(
        self, data_uuid: str, name: str, made_in_uuid: str, tags: Mapping[str, str] | None, typename: str
    ) -> str:
        """The log by the same order, "" when it has none."""
        logs = {rule.spec: rule.log for rule in self.rules if rule.log}
        return _first(logs, data_uuid, f"{name}:{made_in_uuid}", tags, typename) or self.default_log


def _first(given: Mapping[str, str], data_uuid: str, place: str, tags: Mapping[str, str] | None, typename: str) -> str:
    tagged = {f"{tag}={value}" for tag, value in (tags or {}).items()}
    specs = (data_uuid, place, *(spec for spec in given if spec in tagged), typename)
    return next((given[spec] for spec in specs if spec in given), "")


class Config(Struct, frozen=True, kw_only=True):
    """A whole configuration: `stores` hold the data, `logs` are log sinks; `text` is the file's text."""

    stores: dict[str, StoreSection]
    backend: Backend
    server: ServerSettings = ServerSettings()
    logging: LoggingSettings = LoggingSettings()
    mutations: MutationsSettings = MutationsSettings()
    logs: dict[str, StoreSection] = {}
    plugins: dict[str, dict[str, Any]] = {}
    """The sections [plugin.<name>]: what a plug-in reads, its keys as written."""
    warnings: tuple[str, ...] = ()
    text: str = ""
    path: Path | None = None


def default_config(data_dir: Path) -> Config:
    """The configuration of a server that was given none: one RocksDB store in `data_dir`."""
    section = StoreSection(engine="rocksdb", alias="default", options={"path": os.path.abspath(data_dir)})
    return Config(stores={"default": section}, backend=Backend(default="default", metadata="default"))


def load_config(path: Path, data_dir: Path | None = None) -> Config:
    """`parse_config` of a file; its errors begin with the file's name."""
    try:
        config = parse_config(path.read_text("utf-8"), path.absolute().parent, data_dir)
    except FileNotFoundError:
        raise ConfigError(f"the configuration file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the configuration file {path} cannot be read: {exc}") from None
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from None
    return replace(config, path=path.absolute())


def parse_config(text: str, base: Path, data_dir: Path | None = None) -> Config:
    """The configuration that `text` describes; relative paths start at the absolute folder `base`.

    `data_dir` is the place of the store when `text` names none; giving both, or neither, is an error.
    """
    warnings: list[str] = []
    sections = _sections(text, warnings)
    stores, logs = _stores(sections["store"], _log_aliases(sections["backend"]), base, warnings)
    if stores and data_dir:
        raise ConfigError("the stores are named here, so --data cannot be given as well")
    if not stores and not data_dir:
        raise ConfigError('no store: add [store.main] with engine = "rocksdb" and a path, or start with --data DIR')
    stores = stores or default_config(data_dir or base).stores
    return Config(
        server=_read(ServerSettings, sections["server"], "server", base, warnings),
        logging=_read(LoggingSettings, sections["logging"], "logging", base, warnings),
        mutations=_read(MutationsSettings, sections["mutations"], "mutations", base, warnings),
        stores=stores,
        logs=logs,
        backend=_backend(sections["backend"], stores, logs, base, warnings),
        plugins=_plugins(sections["plugin"]),
        warnings=tuple(warnings),
        text=text,
    )


def with_flags(config: Config, *, http: str = "", readonly: bool = False, fullwrite: bool = False) -> Config:
    """`config` with the flags of the command line laid over it; contradictions are a `ConfigError`."""
    modes = {config.server.rwmode, "readonly" * readonly, "fullwrite" * fullwrite} - {""}
    if len(modes) > 1:
        raise ConfigError("a server is readonly or fullwrite, not both (flags and [server] rwmode count together)")
    server = replace(config.server, rwmode="".join(modes))
    if http:
        try:
            server = replace(server, http_address=join_address(*parse_address(http)))
        except ValueError as exc:
            raise ConfigError(f"--http: {exc}") from None
    return replace(config, server=server)


def check_engines(config: Config, installed: Collection[str]) -> None:
    """Raise `ConfigError` for a store whose engine is not among the `installed` ones."""
    for section in config.stores.values():
        if section.engine not in installed:
            raise ConfigError(
                f"[store.{section.alias}] engine: no engine {section.engine!r} is installed"
                f"{_nearest(section.engine, installed)} (there are: {', '.join(sorted(installed)) or 'none'})"
            )


def unknown_options(section: StoreSection, known: Collection[str]) -> list[str]:
    """A warning for each option of a store that its engine, which knows `known`, does not know."""
    where = f"unknown key [store.{section.alias}]"
    return [f"{where} {key}, ignored{_nearest(key, known)}" for key in section.options if key not in known]


def _nearest(name: str, known: Collection[str]) -> str:
    """The words "; did you mean ...?" with the known name most like `name`, or nothing."""
    spelled = {k.lower(): k for k in known}
    found = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f"; did you mean {spelled[found[0]]!r}?" if found else ""


def _items(table: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Name in lower case, name as written, value; an error unless `table` is one with each name once."""
    if not isinstance(table, dict):
        raise ConfigError(f"[{where}]: expected a section, got {table!r}")
    seen: set[str] = set()
    for name, value in table.items():
        if name.lower() in seen:
            raise ConfigError(f"[{where}] {name}: given twice, in different case")
        seen.add(name.lower())
        yield name.lower(), name, value


def _sections(text: str, warnings: list[str]) -> dict[str, Any]:
    """The tables of all supported sections, empty where absent."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"\(at line (\d+)", str(exc))
        line = found[1] if found else text.count("\n") + 1
        raise ConfigError(f"line {line} is no valid TOML: {exc}") from None
    out: dict[str, Any] = {name: {} for name in SECTIONS}
    for name, written, table in _items(document, "top level"):
        if name in SECTIONS:
            out[name] = table
        elif name not in LATER_SECTIONS:
            warnings.append(f"unknown section [{written}], ignored{_nearest(name, SECTIONS + LATER_SECTIONS)}")
        elif name != "auth" or _check_auth(table):
            warnings.append(f"[{name}] is not yet supported, ignored")
    return out


def _check_auth(table: Any) -> bool:
    """Refuse what asks for protection: unprotected, it would show data that were meant to be closed.

    True when there is more in it than `enforce`.
    """
    auth = {name: value for name, _, value in _items(table, "auth")}
    if auth.get("proxy_address") and auth.get("no_enforce") is not True:
        auth.setdefault("enforce", "token")
    for key in ("enforce", "enforce_internal"):
        if str(auth.get(key, "none")).lower() not in ("", "none"):
            raise ConfigError(
                f"[auth] {key} = {auth[key]!r} is not yet supported, and what was meant to be protected is not served "
                'unprotected (enforce = "none" serves everybody)'
            )
    return bool(auth.keys() - {"enforce"})


S = TypeVar("S", bound=Struct)


def _read(cls: type[S], table: Any, where: str, base: Path, warnings: list[str], **given: Any) -> S:
    """A section as `cls`, with the fields that are `given` already."""
    spelled = dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True))
    names = {key.lower(): key for key, name in spelled.items() if name not in given}
    hints = get_type_hints(cls, include_extras=True)
    for key, written, value in _items(table, where):
        if key in LATER_KEYS.get(where, ()):
            warnings.append(f"[{where}] {written} is not yet supported, ignored")
        elif key not in names:
            warnings.append(f"unknown key [{where}] {written}, ignored{_nearest(key, names.values())}")
        else:
            name = spelled[names[key]]
            given[name] = _value(hints[name].__metadata__[0], value, base, f"[{where}] {names[key]}")
            if where == "server" and key in IDLE_KEYS:
                warnings.append(f"[server] {names[key]} has no effect on this server")
    return cls(**given)


def _value(kind: Kind, value: Any, base: Path, where: str) -> Any:
    try:
        return kind.read(value, base)
    except ValueError:
        raise ConfigError(f"{where}: expected {kind.expected}, got {value!r}") from None


def _plugins(table: Any) -> dict[str, dict[str, Any]]:
    out = {}
    for name, written, value in _items(table, "plugin"):
        if not isinstance(value, dict):
            raise ConfigError(f"[plugin] {written}: expected a section [plugin.{written}], got {value!r}")
        out[name] = value
    return out


def _log_aliases(table: Any) -> set[str]:
    """The aliases that some assignment names as a log and none as a store."""
    rules = [value for _, _, value in _items(table, "backend") if isinstance(value, dict)]
    return {str(r["log"]) for r in rules if "log" in r} - {str(r["store"]) for r in rules if "store" in r}


def _stores(
    table: Any, log_aliases: Collection[str], base: Path, warnings: list[str]
) -> tuple[dict[str, StoreSection], dict[str, StoreSection]]:
    """Stores and log sinks by alias; a sink is a section that is used as one.

    `durable` right under [store] holds for all stores that say nothing else.
    """
    stores: dict[str, StoreSection] = {}
    logs: dict[str, StoreSection] = {}
    shared: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for key, alias, value in _items(table, "store"):
        if key == "durable" and not isinstance(value, dict):
            shared["durable"] = _value(DURABLE, value, base, "[store] durable")
            continue
        section = _store(alias, value, base, warnings)
        path = section.options.get("path")
        if path and owners.setdefault(path, alias) != alias:
            raise ConfigError(f"[store.{owners[path]}] and [store.{alias}] have one path, {path}: give each its own")
        is_sink = section.engine in LOG_ENGINES or (alias in log_aliases and section.engine not in OWN_ENGINES)
        (logs if is_sink else stores)[alias] = section
    return {a: replace(s, options={**shared, **s.options}) for a, s in stores.items()}, logs


def _store(alias: str, table: Any, base: Path, warnings: list[str]) -> StoreSection:
    where = f"store.{alias}"
    options = {key: value for key, _, value in _items(table, where)}
    if "engine" not in options:
        raise ConfigError(f'[{where}] engine: expected the name of an engine, such as "rocksdb"')
    engine = str(_value(TEXT, options.pop("engine"), base, f"[{where}] engine")).lower()
    if "durable" in options:
        _value(DURABLE, options["durable"], base, f"[{where}] durable")
    if "path" in options and "://" not in _value(TEXT, options["path"], base, f"[{where}] path"):
        options["path"] = str(_value(PLACE, options["path"], base, f"[{where}] path") or base)
    if engine in LOG_ENGINES:
        warnings.append(f"[{where}] engine {engine!r} is a log sink, no store: the stores keep all mutation records")
    if engine in REPLACED_ENGINES:
        warnings.append(f"[{where}] engine {engine!r} is served by RocksDB; a database of another engine is refused")
        engine = "rocksdb"
    return StoreSection(engine=engine, alias=alias, options=options)


def _backend(
    table: Any, stores: Mapping[str, Any], logs: Mapping[str, Any], base: Path, warnings: list[str]
) -> Backend:
    """The assignments, every alias checked."""
    rules: dict[str, Rule] = {}
    for key, spec, value in _items(table, "backend"):
        name = key if key in ("default", "metadata") else spec
        rules[name] = rule = _read(Rule, value, f"backend.{spec}", base, warnings, spec=name)
        _check_alias(rule.store, stores, f"[backend.{spec}] store")
        _check_alias(rule.log, logs, f"[backend.{spec}] log")
        if ":" in spec and "=" not in spec and not INSTANCE_SPEC.fullmatch(spec):
            warnings.append(f'[backend."{spec}"] fits no instance: expected "name:<32 hex digits>" or "tag=value"')
    first = rules.pop("default", Rule(spec="default"))
    default = first.store or (next(iter(stores)) if len(stores) == 1 else "")
    if not default:
        raise ConfigError(f"[backend.default] store: say which of the stores {', '.join(stores)} is the default")
    metadata = rules.pop("metadata", Rule(spec="metadata")).store or default
    return Backend(default=default, metadata=metadata, default_log=first.log, rules=tuple(rules.values()))


def _check_alias(alias: str, known: Collection[str], where: str) -> None:
    if alias and alias not in known:
        there = ", ".join(known) or "none"
        raise ConfigError(f"{where}: no section [store.{alias}] fits{_nearest(alias, known)} (there are: {there})")
