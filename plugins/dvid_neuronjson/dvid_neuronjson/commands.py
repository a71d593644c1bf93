"""The commands `dvid neurons import`, `export` and `import-keyvalue`."""

from __future__ import annotations

import os
from http.client import HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import quote

import click
import msgspec

from .file_parts import parts_of, size_of
from .remote import Remote, pieces

FORMATS = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".parquet": "parquet",
}

rpc_option = click.option(
    "--rpc", metavar="HOST:PORT", default="localhost:8000", help="HTTP address of the server (localhost:8000)."
)
format_option = click.option(
    "--format", "form", type=click.Choice(sorted(set(FORMATS.values()))), help="By the suffix."
)


def _format(path: Path, form: str | None) -> str:
    found = form or FORMATS.get(path.suffix.lower())
    if found is None:
        raise click.ClickException(f"{path}: say what it is with --format {'|'.join(sorted(set(FORMATS.values())))}")
    return found


class _Outcome(msgspec.Struct):
    rows: int
    changed: int


@click.group("neurons")
def neurons() -> None:
    """Import and export the annotations of a neuronjson instance.

    They go by HTTP to a running server.
    """


@neurons.command("import")
@click.argument("uuid")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--user", default=lambda: os.environ.get("USER", ""), help="Who signs the fields (the user of the shell)."
)
@click.option("--replace", is_flag=True, help="Drop fields that the file does not have.")
@click.option("--conditional", metavar="F,G", default="", help="Fields to write only where they are not set yet.")
@click.option("--check", is_flag=True, help="Only check the file.")
@format_option
@rpc_option
def import_file(
    uuid: str,
    name: str,
    file: Path,
    user: str,
    replace: bool,
    conditional: str,
    check: bool,
    form: str | None,
    rpc: str,
) -> None:
    """Write the annotations of FILE, field by field.

    The whole file is checked before anything is written.  Should writing break off, run the command again.
    """
    found = _format(file, form)
    options = {"u": user, "replace": "true" if replace else "", "conditional": conditional}
    with Remote(rpc, uuid, name) as remote:
        rows, _ = _post(remote, file, found, "checking", options | {"check": "true"})
        if check:
            click.echo(f"{rows} annotations can be written")
            return
        rows, changed = _post(remote, file, found, "writing", options)
    click.echo(f"{rows} annotations, {changed} of them changed")


def _post(remote: Remote, file: Path, form: str, label: str, options: dict[str, str]) -> tuple[int, int]:
    rows = changed = 0
    with click.progressbar(length=max(size_of(file, form), 1), label=label) as bar:
        for part_form, data, size in parts_of(file, form):
            reply = remote.ask("POST", "import", data, format=part_form, before=str(rows), **options)
            done = msgspec.json.decode(reply.read(), type=_Outcome)
            rows, changed = rows + done.rows, changed + done.changed
            bar.update(size)
    return rows, changed


@neurons.command("export")
@click.argument("uuid")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--fields", metavar="F,G", default="", help="Only these fields.")
@click.option("--show", type=click.Choice(["user", "time", "all"]), help="Also who set each field, and when.")
@format_option
@rpc_option
def export_file(uuid: str, name: str, file: Path, fields: str, show: str | None, form: str | None, rpc: str) -> None:
    """Write all annotations of a version to FILE."""
    found = _format(file, form)
    if found == "json":
        raise click.ClickException("exports are ndjson, csv, arrow or parquet")
    with Remote(rpc, uuid, name) as remote:
        counts = msgspec.json.decode(remote.ask("GET", "fields", counts="true").read(), type=dict[str, int])
        total = counts.get("bodyid", 0)
        reply = remote.ask("GET", "export", format=found, fields=fields, show=show or "")
        # A file that broke off must not look whole.
        part = file.with_name(file.name + ".part")
        with part.open("wb") as out:
            _save(reply, out, total if found in ("ndjson", "csv") else None)
    part.replace(file)
    click.echo(f"{total} annotations, {file.stat().st_size} bytes in {file}")


def _save(reply: HTTPResponse, out: IO[bytes], lines: int | None) -> None:
    """Write a reply to a file, with a bar over its lines, or one without an end."""
    if lines is None:
        with click.progressbar(pieces(reply), label="exporting") as passing:
            for piece in passing:
                out.write(piece)
        return
    with click.progressbar(length=max(lines, 1), label="exporting") as bar:
        for piece in pieces(reply):
            out.write(piece)
            bar.update(piece.count(b"\n"))


@neurons.command("import-keyvalue")
@click.argument("uuid")
@click.argument("name")
@click.argument("source")
@click.option("--user", default=lambda: os.environ.get("USER", ""), help="Whose edit it is in the history.")
@rpc_option
def import_keyvalue(uuid: str, name: str, source: str, user: str, rpc: str) -> None:
    """Copy the keyvalue instance SOURCE of the same repo."""
    with Remote(rpc, uuid, name) as remote:
        told = remote.ask("POST", f"import-keyvalue/{quote(source, safe='')}", u=user).read()
    click.echo(msgspec.json.format(told, indent=2))
