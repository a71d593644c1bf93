"""The command line `dvid`: starts a server, or speaks HTTP to a running one.

Imports at the top are cheap; what a command needs it imports itself, so that `dvid about` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from .client import Client, Failure

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .config import Config, LoggingSettings

FLAG = re.compile(r"--?([a-z]+)(?:=(.*))?", re.DOTALL)
SETTING = re.compile(r"[A-Za-z_][\w.-]*=")
FLAGS = {"readonly": 0, "fullwrite": 0, "verbose": 0, "stdin": 0, "help": 0, "rpc": 1, "http": 1, "data": 1}
"""Flags that may stand anywhere, with one dash or two, and how many values follow."""
UNUSED_FLAGS = {"monitor": 0, "numcpu": 1, "sleep": 1, "cpuprofile": 1, "memprofile": 1}
"""Flags of the reference that mean nothing to this server."""
OLD_LOGS = 99
COMMANDS = "dvid.commands"
"""The entry-point group of commands that other distributions add."""


def normalise(argv: Iterable[str]) -> tuple[list[str], list[str]]:
    """`argv` as click wants it, and the names of the unused flags that were left out.

    Words come first, in their order; then settings (`key=value`), then flags with two dashes and their values.
    What follows a `--` stays as it is.
    """
    words: list[str] = []
    settings: list[str] = []
    flags: list[str] = []
    rest: list[str] = []
    unused: list[str] = []
    queue = iter(argv)
    for word in queue:
        flag = FLAG.fullmatch(word)
        takes = (FLAGS | UNUSED_FLAGS).get(flag[1]) if flag else None
        if word == "--":
            rest = [word, *queue]
        elif flag and takes is not None:
            values = [flag[2]] if takes and flag[2] is not None else list(islice(queue, takes))
            if flag[1] in UNUSED_FLAGS:
                unused.append(flag[1])
            elif takes or flag[2] in (None, "true", "1"):
                flags += [f"--{flag[1]}", *values]
        elif SETTING.match(word):
            settings.append(word)
        else:
            words.append(word)
    return words + settings + flags + rest, unused


class App(click.Group):
    """The command `dvid`; every failure ends with exit status 1, as in the reference.

    Installed distributions add commands by entry points of the group "dvid.commands": the name is the command's, the
    object a click command.  They are imported when they are called or when all are listed.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*super().list_commands(context), *self._added()})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of this name; an own one goes before an added one."""
        found = super().get_command(context, name)
        if found is not None or (entry := self._added().get(name)) is None:
            return found
        try:
            added = entry.load()
        except Exception as exc:
            raise Failure(f"the command {name!r} cannot be loaded: {exc}") from exc
        return added if isinstance(added, click.Command) else None

    def _added(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in entry_points(group=COMMANDS)}

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command line `args`, by default that of the process, and exit."""
        words, unused = normalise(sys.argv[1:] if args is None else args)
        for name in unused:
            click.echo(f"dvid: -{name} means nothing to this server, ignored", err=True)
        try:
            status = super().main(words, *rest, **{"prog_name": "dvid"} | extra | {"standalone_mode": False})
        except click.ClickException as exc:
            exc.show()
            status = 1
        except click.Abort:
            status = 130
        sys.exit(status if isinstance(status, int) else 0)


@click.group(cls=App, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """DVID: a versioned image-oriented data service.

    `dvid serve` needs no configuration.  The commands types, repos, repo and node go by HTTP to a running server.
    """
    context.obj = ""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


rpc_option = click.option(
    "--rpc", metavar="HOST:PORT", default="localhost:8000", help="HTTP address of the server (localhost:8000)."
)
verbose_option = click.option("--verbose", is_flag=True, hidden=True, expose_value=False)


@main.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@verbose_option
@click.pass_context
def show_help(context: click.Context, words: tuple[str, ...]) -> None:
    """Say what a command does."""
    parent = context.find_root()
    for word in words:
        group = parent.command
        command = group.get_command(parent, word) if isinstance(group, click.Group) else None
        if command is None:
            raise Failure(f"there is no command {' '.join(words)!r}; `dvid help` lists them")
        parent = click.Context(command, info_name=word, parent=parent)
    click.echo(parent.get_help())


@main.command()
@verbose_option
def about() -> None:
    """Show the versions of the server and of its plug-ins."""
    from importlib import metadata

    try:
        version = metadata.version("dvid-core")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"dvid-core {version}\nPython {sys.version.split()[0]}")
    plugins = {p.dist.name: p.dist.version for p in metadata.entry_points(group="dvid") if p.dist}
    for name in sorted(plugins.keys() - {"dvid-core"}):
        click.echo(f"{name} {plugins[name]}")


@main.command()
@click.argument("config_file", required=False, metavar="[CONFIG.toml]", type=click.Path(path_type=Path))
@click.option("--http", metavar="HOST:PORT", default="", help="Listen here (default 127.0.0.1:8000).")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the data (./dvid-data).")
@click.option("--readonly", is_flag=True, help="Refuse all writes.")
@click.option("--fullwrite", is_flag=True, help="Allow writes to committed versions.")
@click.option("--verbose", is_flag=True, help="Log more, and show where an error came from.")
def serve(
    config_file: Path | None, http: str, data: Path | None, readonly: bool, fullwrite: bool, verbose: bool
) -> int:
    """Start a server; its data lie in ./dvid-data unless said otherwise."""
    from .config import default_config, load_config, with_flags
    from .errors import ConfigError, StoreError

    try:
        config = load_config(config_file, data) if config_file else default_config(data or Path("dvid-data"))
        config = with_flags(config, http=http, readonly=readonly, fullwrite=fullwrite)
        start_logging(config.logging, verbose)
        return _run(config)
    except (ConfigError, StoreError, OSError) as exc:
        sentence = " ".join(str(exc).split())
        if verbose or any(isinstance(h, logging.FileHandler) for h in logging.getLogger().handlers):
            logging.getLogger("dvid").error("no start: %s", sentence, exc_info=verbose)
        raise Failure(sentence) from exc


def _run(config: Config) -> int:
    from .web.serve import run

    return run(config)


def start_logging(settings: LoggingSettings, verbose: bool) -> None:
    """Send the log of the process to the log file, or to standard error."""
    from .errors import ConfigError

    try:
        handler = _log_file(settings, settings.logfile) if settings.logfile else logging.StreamHandler()
    except OSError as exc:
        raise ConfigError(f"[logging] logfile: {exc.strerror}: {settings.logfile}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)


def _log_file(settings: LoggingSettings, path: Path) -> logging.Handler:
    from logging.handlers import RotatingFileHandler

    def rotate(source: str, target: str) -> None:
        """Put a full file away and drop the files whose days are over."""
        os.replace(source, target)
        oldest = path.stat().st_mtime if path.exists() else os.stat(target).st_mtime
        for old in path.parent.glob(f"{path.name}.*"):
            if settings.max_log_age and old.stat().st_mtime < oldest - settings.max_log_age * 86400:
                old.unlink()

    path.parent.mkdir(parents=True, exist_ok=True)
    megabytes = settings.max_log_size or 100
    handler = RotatingFileHandler(path, maxBytes=megabytes << 20, backupCount=OLD_LOGS, encoding="utf-8")
    handler.rotator = rotate
    return handler


def arguments(words: Sequence[str], names: str, settings: str = "") -> dict[str, str]:
    """The plain words under their `names` ("?" ends one that may be left out), and the `key=value` words.

    `settings` are the allowed keys, "*" allows all.  Raises `click.UsageError` naming what is missing or too much.
    """
    plain = [word for word in words if not SETTING.match(word)]
    given = dict(word.split("=", 1) for word in words if SETTING.match(word))
    wanted = names.split()
    if len(plain) > len(wanted):
        raise click.UsageError(f"unexpected word {plain[len(wanted)]!r}")
    if len(plain) < len(wanted) and not wanted[len(plain)].endswith("?"):
        raise click.UsageError(f"<{wanted[len(plain)]}> is missing")
    if wrong := [key for key in given if settings != "*" and key not in settings.split()]:
        raise click.UsageError(f"unknown setting {wrong[0]!r}")
    return given | {name.rstrip("?"): word for name, word in zip(wanted, plain, strict=False)}


Action: TypeAlias = Callable[[Client, str, dict[str, str]], str]
"""What a command does with the server, the UUID of its group and its words; gives the text to print."""


def asks(
    group: click.Group, name: str, usage: str, names: str, settings: str = ""
) -> Callable[[Action], click.Command]:
    """Declare a command of `group` that asks a server; `names` and `settings` are those of `arguments`."""

    def declare(action: Action) -> click.Command:
        @group.command(name, help=action.__doc__)
        @click.argument("words", nargs=-1, metavar=usage)
        @rpc_option
        @verbose_option
        @click.pass_obj
        def command(uuid: str, words: tuple[str, ...], rpc: str) -> None:
            if text := action(Client(rpc), uuid, arguments(words, names, settings)).rstrip("\n"):
                click.echo(text)

        return command

    return declare


@asks(main, "types", "[TYPE [help]]", "type? help?")
def types(server: Client, uuid: str, values: dict[str, str]) -> str:
    """List the datatypes in use, or show the help of one."""
    if "type" in values:
        return server.ask("GET", "help", values["type"])
    return "\n".join(f"{name}  {url}" for name, url in sorted(_json(server.ask("GET", "server", "types")).items()))


@main.group()
def repos() -> None:
    """Make and delete repos."""


@asks(repos, "new", "ALIAS [DESCRIPTION] [uuid=U] [passcode=P]", "alias description?", "uuid passcode")
def new_repo(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Make a repo and print the UUID of its root."""
    if "uuid" in values:
        values["root"] = values.pop("uuid")
    return str(_json(server.ask("POST", "repos", body=values, admin=True), "root"))


@asks(repos, "delete", "ROOT-UUID [PASSCODE]", "root passcode?", "passcode")
def delete_repo(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Delete a whole repo with all its versions and data."""
    return server.ask("DELETE", "repo", values["root"], admin=True, passcode=values.get("passcode", ""))


@main.group()
@click.argument("uuid")
@click.pass_context
def repo(context: click.Context, uuid: str) -> None:
    """Change the repo of a version: its instances and its versions."""
    context.obj = uuid


@asks(repo, "new", "TYPE NAME [key=value]...", "typename dataname", "*")
def new_instance(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Make a data instance."""
    return str(_json(server.ask("POST", "repo", uuid, "instance", body=values), "result"))


@asks(repo, "rename", "OLD NEW [PASSCODE]", "from to passcode?", "passcode")
def rename_instance(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Rename a data instance."""
    return server.ask("POST", "repo", uuid, "rename", body=values, admin=True)


@asks(repo, "delete", "NAME [PASSCODE]", "name passcode?", "passcode")
def delete_instance(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Delete a data instance with all its data."""
    return server.ask(
        "DELETE", "repo", uuid, "instance", values["name"], admin=True, passcode=values.get("passcode", "")
    )


@asks(repo, "branch", "NAME [UUID] [note=TEXT]", "branch uuid?", "uuid note")
def branch(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Open a version on a new branch and print its UUID."""
    return _child(server, uuid, "branch", {"note": f"branch of {uuid}"} | values)


@asks(repo, "newversion", "[UUID] [note=TEXT]", "uuid?", "uuid note")
def newversion(server: Client, uuid: str, values: dict[str, str]) -> str:
    """Open the next version on the same branch and print its UUID."""
    return _child(server, uuid, "newversion", values)


@repo.command("merge")
@click.argument("words", nargs=-1, metavar="UUID...")
@rpc_option
@verbose_option
@click.pass_obj
def merge(uuid: str, words: tuple[str, ...], rpc: str) -> None:
    """Merge committed versions with this one, conflict-free, and print the UUID of their child."""
    others = [word for given in words for word in given.split(",") if word]
    if not others:
        raise click.UsageError("<uuid> is missing")
    body = {"mergeType": "conflict-free", "parents": list(dict.fromkeys([uuid, *others]))}
    click.echo(_json(Client(rpc).ask("POST", "repo", uuid, "merge", body=body), "child"))


@main.command()
@click.argument("uuid")
@click.argument("name")
@click.argument("words", nargs=-1, metavar="put KEY")
@click.option("--stdin", is_flag=True, help="Read the value from standard input.")
@rpc_option
@verbose_option
def node(uuid: str, name: str, words: tuple[str, ...], stdin: bool, rpc: str) -> None:
    """Store a value: dvid node UUID NAME put KEY --stdin < FILE"""
    if len(words) != 2 or words[0] != "put":
        raise Failure("`put KEY` is the only command of a node; all else goes by the HTTP API")
    if not stdin:
        raise click.UsageError("put reads the value from standard input: add --stdin")
    click.echo(Client(rpc).ask("POST", "node", uuid, name, "key", words[1], body=sys.stdin.buffer), nl=False)


def _child(server: Client, uuid: str, action: str, body: dict[str, str]) -> str:
    """Open a child version, note it in the repo's log, give its UUID."""
    child = str(_json(server.ask("POST", "node", uuid, action, body=body), "child"))
    try:
        server.ask("POST", "repo", child, "log", body={"log": [f"{action} of {uuid}: {child}"]})
    except Failure as exc:
        click.echo(f"dvid: the version was made, but not noted in the repo's log: {exc.message}", err=True)
    return child


def _json(reply: str, key: str = "") -> Any:
    """The object of a JSON reply, or the value of one key."""
    try:
        found = json.loads(reply)
        return found[key] if key else found
    except (ValueError, KeyError, TypeError):
        raise Failure(f"that is no DVID server: it replied {reply[:200]!r}") from None


def entry() -> None:
    """The script `dvid`."""
    main(prog_name="dvid")
