"""Cutting a file of annotations into parts that are posted one after the other, each a file of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

PART_BYTES = 1 << 20
PART_ROWS = 2000

Part = tuple[str, bytes, int]
"""Its format, its content, and how much of the whole it is."""


def size_of(path: Path, form: str) -> int:
    """The size of the whole, in the unit in which parts are measured: rows of tables, else bytes."""
    if form == "parquet":
        return int(_pyarrow().parquet.ParquetFile(path).metadata.num_rows)
    return path.stat().st_size


def parts_of(path: Path, form: str) -> Iterator[Part]:
    """The parts of a file.  Ends the command when the file is not of this format."""
    try:
        if form == "ndjson":
            yield from _lines(path)
        elif form == "json":
            yield from _items(path)
        elif form == "csv":
            yield from _csv(path)
        else:
            yield from _tables(path, form)
    except (OSError, ValueError, csv.Error) as err:
        raise click.ClickException(f"{path}: {err}") from None


def _lines(path: Path) -> Iterator[Part]:
    with path.open("rb") as file:
        while lines := file.readlines(PART_BYTES):
            data = b"".join(lines)
            yield "ndjson", data, len(data)


def _items(path: Path) -> Iterator[Part]:
    held: list[bytes] = []
    size = 0
    for raw in msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw]):
        item = bytes(raw).replace(b"\n", b" ").replace(b"\r", b" ")
        held.append(item)
        size += len(item)
        if size > PART_BYTES:
            yield "ndjson", b"\n".join(held), size
            held, size = [], 0
    yield "ndjson", b"\n".join(held), size


def _csv(path: Path) -> Iterator[Part]:
    with path.open("rb") as file:
        csv.field_size_limit(PART_BYTES * 4)
        reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
        header = next(reader, None)
        if header is None:
            raise ValueError("the file is empty")
        before, rows = 0, [header]
        for row in reader:
            rows.append(row)
            if len(rows) > PART_ROWS:
                yield "csv", _csv_text(rows), file.tell() - before
                before, rows = file.tell(), [header]
        yield "csv", _csv_text(rows), file.tell() - before


def _csv_text(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _tables(path: Path, form: str) -> Iterator[Part]:
    pa = _pyarrow()
    if form == "parquet":
        for batch in pa.parquet.ParquetFile(path).iter_batches(PART_ROWS):
            yield _stream(pa, [batch], batch.num_rows)
        return
    with path.open("rb") as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
        before = 0
        for batch in batches:
            for at in range(0, batch.num_rows, PART_ROWS):
                yield _stream(pa, [batch.slice(at, PART_ROWS)], max(file.tell() - before, 0))
                before = file.tell()


def _stream(pa: Any, batches: list[Any], size: int) -> Part:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return "arrow", sink.getvalue(), size


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise click.ClickException(
            "Arrow and Parquet files need pyarrow: pip install 'dvid-neuronjson[arrow]'"
        ) from None
    return pyarrow
