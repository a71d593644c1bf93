"""Elements as a stream of Arrow record batches.

pyarrow comes with the extra `dvid-annotation[arrow]`; it is imported when such a stream is asked for.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from dvid_core import BadRequest, View

from .elements import Element

ARROW = "application/vnd.apache.arrow.stream"

ROWS = 10_000
"""Rows of a batch, about."""

_elements = msgspec.json.Decoder(list[Element])


def arrow() -> Any:
    """The module pyarrow.  Raises `BadRequest` when it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError:
        raise BadRequest(
            f"Accept: this server has no pyarrow, which {ARROW} needs: pip install 'dvid-annotation[arrow]'"
        ) from None
    return pyarrow


def schema_of(pa: Any, *, rels: bool) -> Any:
    """The columns."""
    fields = [
        pa.field("x", pa.int32()),
        pa.field("y", pa.int32()),
        pa.field("z", pa.int32()),
        pa.field("Kind", pa.string()),
        pa.field("Tags", pa.list_(pa.string())),
        pa.field("Prop", pa.map_(pa.string(), pa.string())),
    ]
    if rels:
        rel = [("Rel", pa.string()), ("x", pa.int32()), ("y", pa.int32()), ("z", pa.int32())]
        fields.append(pa.field("Rels", pa.list_(pa.struct(rel))))
    return pa.schema(fields)


async def arrow_stream(view: View, pages: AsyncIterator[list[bytes]], *, rels: bool) -> AsyncIterator[bytes]:
    """The pieces of an IPC stream of elements given as texts."""
    pa = arrow()
    schema = schema_of(pa, rels=rels)
    sink = io.BytesIO()
    writer = await view.run(pa.ipc.new_stream, sink, schema)
    held: list[bytes] = []
    async for texts in pages:
        held += texts
        while len(held) >= ROWS:
            yield await view.run(_batch, pa, schema, writer, sink, held[:ROWS])
            del held[:ROWS]
    if held:
        yield await view.run(_batch, pa, schema, writer, sink, held)
    writer.close()
    yield _drained(sink)


def _drained(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


def _batch(pa: Any, schema: Any, writer: Any, sink: io.BytesIO, texts: Sequence[bytes]) -> bytes:
    """A kernel: one more batch."""
    elements = _elements.decode(b"[" + b",".join(texts) + b"]")
    positions = list(zip(*(e.Pos for e in elements)))
    columns = [
        *(pa.array(axis, pa.int32()) for axis in positions),
        pa.array([e.Kind for e in elements], pa.string()),
        pa.array([e.Tags for e in elements], schema.field("Tags").type),
        pa.array([list((e.Prop or {}).items()) for e in elements], schema.field("Prop").type),
    ]
    if "Rels" in schema.names:
        rels = [[{"Rel": r.Rel, "x": r.To[0], "y": r.To[1], "z": r.To[2]} for r in e.Rels or []] for e in elements]
        columns.append(pa.array(rels, schema.field("Rels").type))
    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return _drained(sink)
