"""Annotations from Arrow and Parquet files: each column a field, its nulls absent.

pyarrow comes with the extra `dvid-neuronjson[arrow]`; it is imported when a file of these formats is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from dvid_core import BadRequest

from .imports import RawRow

ROWS = 512
MOST_ROWS = 50_000_000
BATCH_BYTES = 256 << 20
AS_JSON = {b"dvid": b"json"}
"""Metadata of columns that hold JSON texts."""


def arrow() -> Any:
    """The module pyarrow.  Raises `BadRequest` when it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError:
        raise BadRequest(
            "format: this server has no pyarrow, which Arrow and Parquet need: pip install 'dvid-neuronjson[arrow]'"
        ) from None
    return pyarrow


def read_arrow(file: IO[bytes], before: int) -> Iterator[RawRow]:
    """The rows of an IPC stream or file."""
    pa = arrow()
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)

    def batches() -> Iterator[Any]:
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        numbers = range(reader.num_record_batches) if is_file else None
        for batch in map(reader.get_batch, numbers) if numbers is not None else reader:
            for at in range(0, batch.num_rows, ROWS):
                yield batch.slice(at, ROWS)

    return _rows(pa, batches(), before)


def read_parquet(file: IO[bytes], before: int) -> Iterator[RawRow]:
    """The rows of a Parquet file."""
    pa = arrow()

    def batches() -> Iterator[Any]:
        import pyarrow.parquet  # type: ignore[import-untyped]

        yield from pyarrow.parquet.ParquetFile(file).iter_batches(ROWS, use_threads=False)

    return _rows(pa, batches(), before)


def _rows(pa: Any, batches: Iterable[Any], before: int) -> Iterator[RawRow]:
    number = before
    try:
        for batch in batches:
            # A file can claim offsets that lie outside of it.
            batch.validate(full=True)
            if batch.nbytes > BATCH_BYTES:
                raise BadRequest(f"row {number + 1}: the next {ROWS} rows have more than {BATCH_BYTES} bytes")
            names, columns = _columns(pa, batch)
            for values in zip(*columns):
                number += 1
                if number - before > MOST_ROWS:
                    raise BadRequest(f"the table has more than {MOST_ROWS} rows")
                yield f"row {number}", {n: v for n, v in zip(names, values) if v is not None}
    except (pa.ArrowException, OSError, MemoryError, OverflowError) as err:
        raise BadRequest(f"the body is no table of this format: {str(err)[:200]}") from None


def _columns(pa: Any, batch: Any) -> tuple[list[str], list[list[Any]]]:
    names = list(batch.schema.names)
    if "bodyid" not in names:
        raise BadRequest("the table has no column bodyid")
    if len(set(names)) < len(names):
        raise BadRequest("the table has two columns of one name")
    columns = []
    for field, column in zip(batch.schema, batch.columns):
        _check_type(pa, field.name, field.type)
        values = column.to_pylist()
        if (field.metadata or {}).get(b"dvid") == b"json":
            values = [None if v is None else _json(field.name, v) for v in values]
        columns.append(values)
    return names, columns


def _json(name: str, text: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as err:
        raise BadRequest(f"{name}: the column holds JSON texts, but one is none: {err}") from None


def _check_type(pa: Any, name: str, kind: Any) -> None:
    """Raise `BadRequest` when values of this type are no JSON."""
    t = pa.types
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        return _check_type(pa, name, kind.value_type)
    if t.is_dictionary(kind):
        return _check_type(pa, name, kind.value_type)
    if t.is_struct(kind):
        for i in range(kind.num_fields):
            _check_type(pa, name, kind.field(i).type)
        return None
    fits = (t.is_integer, t.is_floating, t.is_boolean, t.is_string, t.is_large_string, t.is_string_view, t.is_null)
    if not any(is_kind(kind) for is_kind in fits):
        raise BadRequest(f"{name[:80]}: a column of type {kind} does not fit JSON; cast it to numbers or texts")
