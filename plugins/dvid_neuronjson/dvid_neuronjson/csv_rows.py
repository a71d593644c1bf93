"""Annotations as CSV: a column for each field, in UTF-8.

An empty cell is an absent field.  A cell that reads as JSON (a number, true, false, null, a list, an object, or a text
in double quotes) is that value, and any other cell is a text.  So a text that looks like something else is written in
JSON's quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import msgspec

from dvid_core import BadRequest

from .imports import LINE_LIMIT, RawRow

_json_starts = frozenset('-0123456789[{"')
_words = frozenset(("true", "false", "null"))
_decode = msgspec.json.Decoder(str).decode


def cell_value(cell: str) -> Any:
    """What a cell that is not empty stands for."""
    if cell[0] in _json_starts or cell in _words:
        try:
            return msgspec.json.decode(cell)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return cell
    return cell


def cell_of(raw: msgspec.Raw | None) -> str:
    """The cell of a value's JSON text."""
    if raw is None:
        return ""
    text = bytes(raw).decode()
    if not text.startswith('"'):
        return text
    plain = _decode(raw)
    return plain if plain and cell_value(plain) == plain else text


def read_csv(file: IO[bytes], before: int) -> Iterator[RawRow]:
    """(place, object) of each row.  Raises `BadRequest` naming the row."""
    csv.field_size_limit(LINE_LIMIT)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.reader(text, strict=True)
        header = next(reader, None)
        if not header or "bodyid" not in header:
            raise BadRequest("the first line of the CSV must name the columns, one of them bodyid")
        if len(set(header)) < len(header) or "" in header:
            raise BadRequest("the first line of the CSV has a column without a name, or two of one name")
        for number, cells in enumerate(reader, before + 1):
            if not cells:
                continue
            if len(cells) != len(header):
                raise BadRequest(f"row {number}: {len(cells)} cells, but there are {len(header)} columns")
            yield f"row {number}", {n: cell_value(c) for n, c in zip(header, cells) if c}
    except (csv.Error, UnicodeDecodeError) as err:
        raise BadRequest(f"the body is no CSV in UTF-8: {err}") from None
    finally:
        text.detach()


def write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Lines of these cells."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
