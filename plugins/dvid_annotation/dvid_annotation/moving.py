"""Deleting and moving single elements, and the relationships of others that point to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from dvid_core import BadRequest, Mutation, View
from dvid_voxels.geometry import Triple

from .cells import Cells
from .elements import Element, Rel, element_of, kinds_of, text_of
from .filing import Filing
from .grid import Grid
from .placing import filed
from .posting import annotation_of, file_labels
from .rows import Item

Point = tuple[int, int, int]
"""x, y, z."""


async def delete_element(view: View, point: Point, entry: dict[str, Any] | None) -> None:
    """Take an element out of its block and lists, and the relationships to it out of its partners.

    Raises `BadRequest` when there is none.
    """
    instance = annotation_of(view)
    grid = await instance.seen_grid(view)

    async def change(m: Mutation) -> None:
        m.record(entry)
        cells = Cells(m, grid)
        item = await _the_item(cells, point)
        element = element_of(item.text)
        await _relate(cells, item, element, lambda rel: None)
        await _leave(m, cells, item)
        cells.stage(m)

    await instance.change(view, "element-delete", change, in_reloads=True)


async def move_element(view: View, start: Point, stop: Point, entry: dict[str, Any] | None) -> None:
    """Give an element another position, in its block, its lists, and the relationships of its partners.

    Raises `BadRequest` when there is none, or one where it goes.
    """
    instance = annotation_of(view)
    grid = await instance.seen_grid(view)

    async def change(m: Mutation) -> None:
        m.record(entry)
        cells = Cells(m, grid)
        item = await _the_item(cells, start)
        if start == stop:
            return
        (there,) = await cells.find(_array(stop))
        if there is not None:
            raise BadRequest(f"to: there is an element at {_shown(stop)} already")
        await _relate(cells, item, element_of(item.text), lambda rel: Rel(rel.Rel, stop))
        # Its own relationship to itself may have changed.
        (item,) = [i for i in await cells.find(_array(start)) if i is not None]
        element = element_of(item.text)
        element.Pos = stop
        text, bare = text_of(element)
        await _leave(m, cells, item)
        await _arrive(m, cells, grid, Item(stop[::-1], 0, 0, 0, bare, text), element)
        cells.stage(m)

    await instance.change(view, "element-move", change)


async def _the_item(cells: Cells, point: Point) -> Item:
    (item,) = await cells.find(_array(point))
    if item is None:
        raise BadRequest(f"there is no element at {_shown(point)}")
    return item


async def _relate(cells: Cells, item: Item, element: Element, new: Callable[[Rel], Rel | None]) -> None:
    """Change the relationships to an element, in its brick and in those of its partners; None takes them out."""
    partners = [item.position, *(rel.To[::-1] for rel in element.Rels or [])]
    target = (b'"To":[%d,%d,%d]' % element.Pos, element.Pos)
    for key in await cells.within(np.array(partners, np.int64).reshape(-1, 3)):
        value = cells.values[key]
        if value and target[0] in value:
            cells.change(key, [_related(i, *target, new) for i in cells.items(key)])


def _related(item: Item, text: bytes, point: Point, new: Callable[[Rel], Rel | None]) -> Item:
    if text not in item.text:
        return item
    element = element_of(item.text)
    changed = [new(rel) if rel.To == point else rel for rel in element.Rels or []]
    element.Rels = [rel for rel in changed if rel is not None]
    fresh, bare = text_of(element)
    return item._replace(text=fresh, bare=bare)


async def _leave(m: Mutation, cells: Cells, item: Item) -> None:
    (key,) = await cells.load(np.array([item.position], np.int32))
    cells.remove(key, [item.position])
    # Staged before anything arrives, which may take the list that it leaves to another label.
    filing = Filing(m)
    filing.take_out([item], await filed(m, [item.supervoxel]))
    await filing.stage()


async def _arrive(m: Mutation, cells: Cells, grid: Grid, item: Item, element: Element) -> None:
    filing = Filing(m)
    position = np.array([item.position], np.int32)
    place = await file_labels(m, filing, grid, position, whole=True)
    kinds = kinds_of([item.text])
    labels = filing.list_under_labels(place.labels, place.supervoxels, position, kinds, [item.shown])
    tags = filing.list_under_tags([element.Tags or []], position, kinds, [item.shown])
    (key,) = await cells.load(position)
    item = item._replace(supervoxel=int(place.supervoxels[0]), label_segment=int(labels[0]), tag_segment=int(tags[0]))
    cells.put([item], [key])
    await filing.stage()


def _array(point: Point) -> Any:
    return np.array([point[::-1]], np.int32)


def _shown(point: Triple) -> str:
    return msgspec.json.encode(point).decode()
