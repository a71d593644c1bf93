"""Putting elements: POST of elements, of blocks, and of lists of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dvid_core import Mutation, View
from dvid_voxels.geometry import Triple

from .cells import Cells
from .elements import Batch
from .filing import Filing
from .grid import Grid
from .keys import LABEL
from .placing import INLINE, Place, filed, followed_labels, look_up
from .rechecking import Unsettled, settle
from .rows import Item
from .segments import entries_of

if TYPE_CHECKING:
    from .annotation import Annotation


def annotation_of(view: View) -> Annotation:
    """The instance, as the type it is."""
    return cast("Annotation", view.instance)


async def post_elements(view: View, batch: Batch, entry: dict[str, Any] | None) -> None:
    """Put elements, each in the place of one that is there, and file them under their labels and tags."""
    if not len(batch):
        return
    instance = annotation_of(view)
    grid = await instance.fixed_grid(view)

    async def change(m: Mutation, whole: bool = False) -> None:
        m.record(entry)
        await put_elements(m, grid, batch, whole=whole)

    try:
        await instance.change(view, "element-post", change, instance.shards(grid, batch.positions))
    except Unsettled:
        await instance.change(view, "element-post", lambda m: change(m, True))


async def put_elements(m: Mutation, grid: Grid, batch: Batch, *, whole: bool) -> None:
    """Stage elements."""
    filing = Filing(m)
    place = await file_labels(m, filing, grid, batch.positions, whole=whole)
    # The locks of their bricks keep cells as they are read; an edit of everything may have staged some before.
    cells = Cells(m if whole else m.view, grid)
    keys = await cells.load(batch.positions)
    work = (filing, cells, keys, place, batch)
    displaced = _put(*work) if len(batch) <= INLINE else await m.view.run(_put, *work)
    if displaced:
        filing.take_out(displaced, await filed(m, (i.supervoxel for i in displaced)))
    await filing.stage()
    cells.stage(m)


def _put(filing: Filing, cells: Cells, keys: list[bytes], place: Place, batch: Batch) -> list[Item]:
    """A kernel: list the elements and put them into their cells; gives those that were there."""
    shown = [text[:bare] + b"}" for text, bare in zip(batch.texts, batch.bare)]
    columns = (batch.positions, batch.kinds, shown)
    labels = filing.list_under_labels(place.labels, place.supervoxels, *columns)
    tags = filing.list_under_tags(batch.tags, *columns)
    items = list(
        map(Item, map(tuple, batch.positions.tolist()), place.supervoxels.tolist(), labels.tolist(), tags.tolist(),
            batch.bare, batch.texts)
    )  # fmt: skip
    return cells.put(items, keys)


async def file_labels(m: Mutation, filing: Filing, grid: Grid, positions: NDArray[Any], *, whole: bool) -> Place:
    """Where positions are now, with their supervoxels filed under their bodies."""
    peer = await followed_labels(m.view)
    if peer is None:
        nothing = np.zeros(len(positions), np.uint64)
        return Place(nothing, nothing)
    place = await look_up(peer, positions)
    filing.file(await settle(m, peer, grid, place, whole=whole))
    return place


async def post_blocks(view: View, blocks: Mapping[Triple, None], batch: Batch, entry: dict[str, Any] | None) -> None:
    """Replace all elements of blocks; lists of tags and labels stay as they are."""
    if not blocks:
        return
    instance = annotation_of(view)
    grid = await instance.fixed_grid(view)

    async def change(m: Mutation) -> None:
        m.record(entry)
        cells = Cells(m, grid)
        corners = np.array(list(blocks), np.int64).reshape(-1, 3) * np.array(grid.block)
        before: dict[Triple, Item] = {}
        for key in await cells.within(corners):
            items = cells.items(key)
            inside = [item for item in items if _block(item.position, grid) in blocks]
            if inside:
                before.update((item.position, item) for item in inside)
                cells.remove(key, [item.position for item in inside])
        keys = await cells.load(batch.positions)
        items = []
        for (z, y, x), bare, text in zip(batch.positions.tolist(), batch.bare, batch.texts):
            old = before.get((z, y, x))
            filing = (0, 0, 0) if old is None else (old.supervoxel, old.label_segment, old.tag_segment)
            items.append(Item((z, y, x), *filing, bare, text))
        cells.put(items, keys)
        cells.stage(m)

    await instance.change(view, "blocks-post", change)


def _block(position: Triple, grid: Grid) -> Triple:
    (z, y, x), (bz, by, bx) = position, grid.block
    return z // bz, y // by, x // bx


async def post_labels(view: View, lists: Mapping[int, Batch]) -> None:
    """Replace lists of labels as given."""
    lists = {label: batch for label, batch in lists.items() if label}
    if not lists:
        return
    instance = annotation_of(view)
    grid = await instance.fixed_grid(view)

    async def change(m: Mutation) -> None:
        m.record({"Action": "labels-post", "Labels": len(lists)})
        filing = Filing(m)
        cells = Cells(m, grid)
        peer = await followed_labels(m.view)
        for label, batch in lists.items():
            await _drop_list(m, filing, label)
            if not len(batch):
                continue
            supervoxels = np.zeros(len(batch), np.uint64)
            if peer is not None:
                place = await look_up(peer, batch.positions)
                supervoxels = place.supervoxels
                own = supervoxels[place.labels == np.uint64(label)].tolist()
                fresh = set(own) - (await filed(m, own)).keys()
                filing.file(dict.fromkeys(fresh, label))
            shown = [text[:bare] + b"}" for text, bare in zip(batch.texts, batch.bare)]
            segments = filing.list_under_labels(
                np.full(len(batch), label, np.uint64), supervoxels, batch.positions, batch.kinds, shown
            )
            await _tell(cells, batch.positions, supervoxels, segments)
        await filing.stage()
        cells.stage(m)

    await instance.change(view, "labels-post", change)


async def _drop_list(m: Mutation, filing: Filing, label: int) -> None:
    keys = [key async for page in m.view.scan_keys(*LABEL.all(label)) for key in page]
    for key, value in zip(keys, await m.get_many(keys)):
        if value is not None:
            filing.changed(label, entries_of(value), -1)
            m.delete(key)


async def _tell(cells: Cells, positions: NDArray[Any], supervoxels: NDArray[Any], segments: NDArray[Any]) -> None:
    """Note in the records of elements, where there are any, in which list they are."""
    keys = await cells.load(positions)
    told: dict[bytes, dict[Triple, tuple[int, int]]] = {}
    for (z, y, x), key, supervoxel, segment in zip(positions.tolist(), keys, supervoxels.tolist(), segments.tolist()):
        told.setdefault(key, {})[z, y, x] = supervoxel, segment
    for key, new in told.items():
        items = cells.items(key)
        if any(item.position in new for item in items):
            cells.change(
                key,
                [
                    i._replace(supervoxel=new[i.position][0], label_segment=new[i.position][1])
                    if i.position in new
                    else i
                    for i in items
                ],
            )
