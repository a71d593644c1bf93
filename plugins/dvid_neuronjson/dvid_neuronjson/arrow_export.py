"""Annotations as Arrow and Parquet.

The types of columns are found in a first pass over all annotations, the table is made page by page in a second.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from dvid_core import View

from .arrow_rows import AS_JSON, arrow
from .pace import Pace
from .pages import Page
from .selection import PORTION, Selection
from .values import encode

if TYPE_CHECKING:
    from .exports import Source

GROUP = 40 * 384
"""Rows of a batch or row group."""

_objects = msgspec.json.Decoder(list[dict[str, Any]])
_EXACT = 2**53


class Kinds:
    """Of which kinds the values of one field are."""

    __slots__ = ("_found", "_high", "_low")

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._low = self._high = 0

    def see(self, value: Any) -> None:
        """Take note of a value."""
        kind = type(value)
        if kind is list:
            for item in value:
                self._found.add("list of " + self._scalar(item))
            if not value:
                self._found.add("empty list")
        else:
            self._found.add(self._scalar(value))

    def _scalar(self, value: Any) -> str:
        if type(value) is int:
            self._low, self._high = min(self._low, value), max(self._high, value)
        return type(value).__name__

    def type(self, pa: Any) -> Any:
        """The type of the column; None when it must hold JSON texts."""
        found = self._found - {"empty list"}
        lists = all(kind.startswith("list of ") for kind in found)
        if (lists or "empty list" in self._found) and found:
            if not lists:
                return None
            inner = self._of(pa, {kind.removeprefix("list of ") for kind in found})
            return None if inner is None else pa.list_(inner)
        return self._of(pa, found)

    def _of(self, pa: Any, kinds: set[str]) -> Any:
        if kinds == {"int"}:
            if self._high < 2**63:
                return pa.int64()
            return pa.uint64() if self._low >= 0 else None
        if kinds == {"float"} or (kinds == {"int", "float"} and self._low >= -_EXACT and self._high <= _EXACT):
            return pa.float64()
        if kinds == {"str"}:
            return pa.string()
        return pa.bool_() if kinds == {"bool"} else None


class _Sink(io.RawIOBase):
    """A file that is only written, and emptied as it goes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def drain(self) -> bytes:
        """What was written since the last call."""
        out = b"".join(self._pieces)
        self._pieces.clear()
        return out


async def tables(
    view: View, source: Source, selection: Selection, form: Literal["arrow", "parquet"] | str
) -> AsyncIterator[bytes]:
    """The pieces of the file."""
    pa = arrow()
    kinds: dict[str, Kinds] = {"bodyid": Kinds()}
    kinds["bodyid"].see(2**64 - 1)
    pace = Pace()
    async for whole in source():
        for page in whole.portions(PORTION):
            for found in _shown(page, selection):
                for name, value in found.items():
                    if name not in kinds:
                        kinds[name] = Kinds()
                    kinds[name].see(value)
            await pace.step()
    names = ["bodyid", *sorted(kinds.keys() - {"bodyid"})]
    types = [kinds[name].type(pa) for name in names]
    fields = [
        pa.field(n, t) if t is not None else pa.field(n, pa.string(), metadata=AS_JSON) for n, t in zip(names, types)
    ]
    schema = pa.schema(fields)
    sink = _Sink()
    writer = await view.run(_writer, pa, sink, schema, form)
    rows: list[dict[str, Any]] = []
    async for whole in source():
        for page in whole.portions(PORTION):
            rows += _shown(page, selection)
            await pace.step()
        if len(rows) >= GROUP:
            await view.run(_write, pa, writer, schema, rows)
            rows = []
            yield sink.drain()
    if rows:
        await view.run(_write, pa, writer, schema, rows)
    await view.run(writer.close)
    yield sink.drain()


def _shown(page: Page, selection: Selection) -> list[dict[str, Any]]:
    return _objects.decode(b"[" + b",".join(selection.many(page)) + b"]")


def _writer(pa: Any, sink: io.RawIOBase, schema: Any, form: str) -> Any:
    if form == "arrow":
        return pa.ipc.new_stream(sink, schema)
    import pyarrow.parquet  # type: ignore[import-untyped]

    return pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd")


def _write(pa: Any, writer: Any, schema: Any, rows: Sequence[dict[str, Any]]) -> None:
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.metadata == AS_JSON:
            values = [None if v is None else encode(v).decode() for v in values]
        columns.append(pa.array(values, field.type))
    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
