"""Importing annotations from files of several formats, and from keyvalue instances.

A body is put aside first, and all of it is checked before anything is written.  Then it is written in commits of some
hundred annotations; since writing the same again changes nothing, an import that broke off is simply sent again.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import IO, Annotated, Any, Literal, TypeAlias, cast

import msgspec

from dvid_core import About, BadRequest, DvidError, Reply, Request, Uint64, View, parse_json

from .editing import write
from .pace import Pace
from .schemas import Validator
from .writes import WriteQuery, validator
from .writing import Manner, Sent, check, read_object

RawRow: TypeAlias = tuple[str, dict[str, Any]]
"""Where an object stands in its file, for error messages, and the object."""

Format = Literal["ndjson", "json", "csv", "arrow", "parquet"]

LIMIT = 8 << 30
LINE_LIMIT = 4 << 20
LIST_LIMIT = 256 << 20
IN_MEMORY = 4 << 20
BATCH = 256
"""Annotations of one commit, which is about 1 MiB."""


class ImportQuery(WriteQuery, frozen=True):
    """What an import reads, and how it merges."""

    format: Annotated[
        Format,
        About(
            "`ndjson`: a JSON object in each line; `json`: a list of them; `csv`; "
            "`arrow`: an IPC stream or file; `parquet`"
        ),
    ] = "ndjson"
    check: Annotated[bool, About("`true`: check everything, and write nothing")] = False
    before: Annotated[
        Uint64, About("for messages: how many rows of a larger file, of which this is a part, come before")
    ] = 0


async def post_import(view: View, request: Request, query: ImportQuery) -> Reply:
    """Write the annotations of a file, each as by POST key: the body is the file.

    Each object names its body by `bodyid`. Everything is checked before anything is written; it is written in several
    commits, in order, and can be sent again should it break off. Replies {"rows": <number of objects>, "changed":
    <number of annotations that are not as before>}.

    In CSV and tables of Arrow an empty cell leaves a field as it is. In CSV a cell is JSON if it reads as JSON, else
    text.

        POST /api/node/3f8c/neurons/import?u=ann                     with lines such as {"bodyid": 189323, "type": "KC"}
        POST /api/node/3f8c/neurons/import?u=ann&format=csv&check=true
    """
    manner = query.manner(view)
    rules = await validator(view)
    folder = view.instance.server.spool_dir
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=None if folder is None else str(folder)) as spooled:
        file = cast(IO[bytes], spooled)
        await _spool(view, request, file)
        rows = 0
        async for batch in _batches(view, file, query, rules):
            rows += len(batch)
        changed = 0
        if not query.check:
            written = 0
            async for batch in _batches(view, file, query, rules):
                changed += await _written(view, batch, manner, written)
                written += len(batch)
    return Reply.json({"rows": rows, "changed": changed})


async def _written(view: View, batch: list[Sent], manner: Manner, before: int) -> int:
    try:
        return await write(view, batch, manner, "importneuronjson")
    except DvidError as err:
        err.args = (f"{err}; the {before} rows before were written, send the file again to continue",)
        raise


async def _spool(view: View, request: Request, file: IO[bytes]) -> None:
    size, held = 0, bytearray()
    async for piece in request.chunks():
        held += piece
        size += len(piece)
        if size > LIMIT:
            raise BadRequest(f"the body has more than {LIMIT} bytes")
        if len(held) > 1 << 20:
            await view.run(file.write, bytes(held))
            held.clear()
    file.write(held)


async def _batches(
    view: View, file: IO[bytes], query: ImportQuery, rules: Validator | None
) -> AsyncIterator[list[Sent]]:
    """The checked objects of a file, some hundred at a time."""
    file.seek(0)
    reader = _reader(query.format)(file, query.before)
    pace = Pace()
    while some := await view.run(_take, reader):
        out = []
        for place, found in some:
            try:
                out.append(_checked(found, rules))
            except BadRequest as err:
                raise BadRequest(f"{place}: {err}") from None
            await pace.step()
        yield out


def _take(reader: Iterator[RawRow]) -> list[RawRow]:
    return list(islice(reader, BATCH))


def _checked(found: dict[str, Any], rules: Validator | None) -> Sent:
    if rules is not None:
        found = rules.check(found)
    body = found.get("bodyid")
    return check(body if isinstance(body, int) and not isinstance(body, bool) else -1, found, 0)


def _reader(form: Format) -> Callable[[IO[bytes], int], Iterator[RawRow]]:
    """The reader of a format.  Raises `BadRequest` when what it needs is not installed."""
    if form == "ndjson":
        return read_lines
    if form == "json":
        return read_list
    if form == "csv":
        from .csv_rows import read_csv

        return read_csv
    from .arrow_rows import read_arrow, read_parquet

    return read_arrow if form == "arrow" else read_parquet


def read_lines(file: IO[bytes], before: int) -> Iterator[RawRow]:
    """The object of each line that is not blank."""
    number = before
    while line := file.readline(LINE_LIMIT + 1):
        number += 1
        if len(line) > LINE_LIMIT:
            raise BadRequest(f"line {number}: longer than {LINE_LIMIT} bytes")
        if line.strip():
            yield f"line {number}", read_object(line, f"line {number}")


def read_list(file: IO[bytes], before: int) -> Iterator[RawRow]:
    """The objects of a JSON list."""
    data = file.read(LIST_LIMIT + 1)
    if len(data) > LIST_LIMIT:
        raise BadRequest(f"a JSON list may have {LIST_LIMIT} bytes; send longer ones as ndjson")
    for number, raw in enumerate(parse_json(data, list[msgspec.Raw]), before + 1):
        yield f"item {number}", read_object(bytes(raw), f"item {number}")
