"""Exporting all annotations as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Literal

import msgspec

from dvid_core import About, Reply, View

from .forms import sent
from .pace import Pace
from .pages import Page
from .reading import steady
from .selection import PORTION, Selection, Shown

_raw_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}


class ExportQuery(Shown, frozen=True):
    """What an export writes."""

    format: Annotated[
        Literal["ndjson", "csv", "arrow", "parquet"],
        About("`ndjson`: a JSON object in each line; `csv`; `arrow`: an IPC stream; `parquet`"),
    ] = "ndjson"


async def get_export(view: View, query: ExportQuery) -> Reply:
    """All annotations of this version as a file, ascending by body id; what `import` reads.

    In CSV and tables of Arrow each field is a column, its name that of the field. Values of a field that are of
    different kinds, and objects, are JSON texts there; such a column of Arrow has the metadata {"dvid": "json"}.

        GET /api/node/3f8c/neurons/export?show=all
        GET /api/node/3f8c/neurons/export?format=parquet&fields=type,status
    """
    selection = query.selection()
    source = await steady(view)
    if query.format == "ndjson":
        pieces = _lines(source, selection)
    elif query.format == "csv":
        pieces = _csv(source, selection)
    else:
        from .arrow_export import tables

        pieces = tables(view, source, selection, query.format)
    return await sent(pieces, TYPES[query.format])


Source = Callable[[], AsyncIterator[Page]]


async def _lines(source: Source, selection: Selection) -> AsyncIterator[bytes]:
    pace = Pace()
    async for whole in source():
        for page in whole.portions(selection.portion):
            yield b"\n".join(selection.many(page)) + b"\n"
            await pace.step()


async def _csv(source: Source, selection: Selection) -> AsyncIterator[bytes]:
    from .csv_rows import cell_of, write_csv

    pace = Pace()
    seen: set[str] = set()
    async for whole in source():
        for page in whole.portions(PORTION):
            for found in objects(page, selection):
                seen.update(found)
            await pace.step()
    names = ["bodyid", *sorted(seen - {"bodyid"})]
    yield write_csv([names])
    async for whole in source():
        for page in whole.portions(PORTION):
            yield write_csv([[cell_of(found.get(name)) for name in names] for found in objects(page, selection)])
            await pace.step()


def objects(page: Page, selection: Selection) -> list[dict[str, msgspec.Raw]]:
    """What is shown of the annotations of a page, each value as JSON text."""
    return _raw_objects.decode(b"[" + b",".join(selection.many(page)) + b"]")
