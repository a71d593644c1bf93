"""Reading the lists of labels and tags, with relationships or without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from dvid_core import Value, View

from .cells import Cells
from .elements import Element, element_of
from .grid import Grid, Positions
from .rows import element_at
from .segments import all_entries, segment_of, text_of

Relationships = Literal["", "true", "verbose"]

_REL = b',"Rels":['


async def segments_in(view: View, start: bytes, stop: bytes) -> AsyncIterator[list[bytes]]:
    """The segments of a list, page by page."""
    async for page in view.scan(start, stop):
        values = []
        for tkey, found in page:
            if not isinstance(found, Value):
                raise view.conflict(tkey, found.versions)
            value = found.inline
            values.append(await found.read() if value is None else value)
        yield values


async def list_text(
    view: View, grid: Grid, start: bytes, stop: bytes, relationships: Relationships
) -> AsyncIterator[bytes]:
    """The elements of a list, texts separated by commas, in pieces that are not empty."""
    async for values in segments_in(view, start, stop):
        if not relationships:
            yield b",".join([text_of(value) for value in values])
            continue
        async for texts in _related(view, grid, values, relationships):
            yield b",".join(texts)


async def list_texts(
    view: View, grid: Grid, start: bytes, stop: bytes, relationships: Relationships
) -> AsyncIterator[list[bytes]]:
    """The elements of a list."""
    async for values in segments_in(view, start, stop):
        if not relationships:
            yield [text for value in values for text in segment_of(value).texts]
            continue
        async for texts in _related(view, grid, values, relationships):
            yield texts


TOGETHER = 2000


async def _related(
    view: View, grid: Grid, values: Sequence[bytes], relationships: Relationships
) -> AsyncIterator[list[bytes]]:
    """The elements of segments as their blocks have them; those that no block has are left out."""
    positions = all_entries(values)["position"]
    for at in range(0, len(positions), TOGETHER):
        texts = [t for t in await texts_at(view, grid, positions[at : at + TOGETHER]) if t is not None]
        if relationships == "verbose":
            texts = await _verbose(view, grid, texts)
        if texts:
            yield texts


async def texts_at(view: View, grid: Grid, positions: Positions) -> list[bytes | None]:
    """The texts of the elements at positions."""
    cells = Cells(view, grid)
    keys = await cells.load(positions)
    if len(keys) > 200:
        return await view.run(_texts, positions, keys, cells.values)
    return _texts(positions, keys, cells.values)


def _texts(positions: Positions, keys: Sequence[bytes], values: dict[bytes, bytes | None]) -> list[bytes | None]:
    """A kernel."""
    out = []
    for (z, y, x), key in zip(positions.tolist(), keys):
        value = values[key]
        out.append(element_at(value, (z, y, x)) if value else None)
    return out


async def _verbose(view: View, grid: Grid, texts: Sequence[bytes]) -> list[bytes]:
    """Elements whose relationships tell of the element that they point to."""
    elements = [element_of(text) for text in texts]
    wanted = list(dict.fromkeys(rel.To for e in elements for rel in e.Rels or []))
    known: dict[Any, bytes] = {}
    for at in range(0, len(wanted), TOGETHER):
        some = wanted[at : at + TOGETHER]
        found = await texts_at(view, grid, np.array(some, np.int32)[:, ::-1])
        known.update((point, _partner(element_of(text))) for point, text in zip(some, found) if text is not None)
    return [_told(text, element, known) for text, element in zip(texts, elements)]


def _partner(element: Element) -> bytes:
    """What a relationship tells of its partner."""
    out = b"" if element.Kind == "Unknown" else b',"Kind":"%s"' % element.Kind.encode()
    if element.Tags:
        out += b',"Tags":' + msgspec.json.encode(element.Tags)
    if element.Prop:
        out += b',"Prop":' + msgspec.json.encode(element.Prop)
    return out


def _told(text: bytes, element: Element, known: dict[Any, bytes]) -> bytes:
    rels = [
        b'{"Rel":"%s","To":[%d,%d,%d]%s}' % (rel.Rel.encode(), *rel.To, known.get(rel.To, b""))
        for rel in element.Rels or []
    ]
    return text[: text.rindex(_REL)] + _REL + b",".join(rels) + b"]}"
