"""The endpoints of roi."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import (
    EMPTY,
    JSON,
    OCTETS,
    About,
    BadRequest,
    Mutation,
    Reply,
    Request,
    Switch,
    Vec3,
    View,
    delete,
    get,
    post,
)  # fmt: skip
from dvid_voxels.paths import PlaneName
from dvid_voxels.rows import read_rows
from dvid_voxels.spans import NONE, Spans, normal

from .keys import SPANS
from .mask import mask_box, mask_stream
from .partition import WIDEST, Boxes, cover, layout, whole_layers
from .region import INLINE, VersionRegion
from .stored import MOST, pack

PAGE = 4096
"""Rows of JSON that are made at a time."""

FEW = 512
"""Rows that are made in less time than a hop to a thread takes."""

POINTS = 1 << 20
"""Points that are looked up together, so that the region is read once for so many."""

ANSWERS = 1 << 26
"""Points of one request."""


def _region(view: View) -> VersionRegion:
    return VersionRegion(view, view.instance.settings.block)  # type: ignore[attr-defined]


async def get_roi(view: View) -> Reply:
    """The region as a JSON list of spans [z, y, x0, x1] in block coordinates, x1 inside.

    The spans are sorted by z, y, x0. They are what was posted with spans that overlap or touch joined to one. An empty
    region is [].

        GET /api/node/3f8c/rois/roi
    """
    return Reply(content_type=JSON, stream=_span_list(_region(view)))


async def _span_list(region: VersionRegion) -> AsyncIterator[bytes]:
    sign = b"["
    async for spans in region.spans():
        for at in range(0, len(spans), PAGE):
            page = spans[at : at + PAGE]
            yield sign + (await region.view.run(_items, page) if len(page) > FEW else _items(page))
            sign = b","
    yield b"]" if sign == b"," else b"[]"


def _items(rows: NDArray[Any]) -> bytes:
    """A kernel: the rows as items of a JSON list."""
    return msgspec.json.encode(rows.tolist())[1:-1]


async def post_roi(view: View, request: Request) -> Reply:
    """Replace the region of this version by the spans of the body, a JSON list of [z, y, x0, x1] with x0 <= x1.

    Coordinates are those of blocks, whole numbers of 32 bits, and may be negative; both x0 and x1 are inside. The spans
    may be in any order and may overlap. [] empties the region. When anything is wrong the old region stays.

        POST /api/node/3f8c/rois/roi    [[10, 20, 5, 8], [10, 21, 5, 9]]
    """
    pieces, count = [], 0
    async for spans in read_rows(view, request, 4, "the list of spans"):
        _check_spans(spans, count)
        count += len(spans)
        pieces.append(spans)
    if not count:
        return await delete_roi(view)
    stored = await view.run(_packed, pieces) if count > INLINE else _packed(pieces)
    value = await view.stage(_each(stored))

    async def change(m: Mutation) -> None:
        m.put(SPANS.key(), value)

    try:
        await view.edit("roi", change)
    except BaseException:
        await view.discard(value)
        raise
    return EMPTY


def _check_spans(spans: Spans, before: int) -> None:
    wrong = np.flatnonzero(spans[:, 3] < spans[:, 2])
    if len(wrong):
        at = int(wrong[0])
        raise BadRequest(f"span {before + at}: x1 is less than x0 in {spans[at].tolist()}")
    if before + len(spans) > MOST:
        raise BadRequest(f"the region has more than {MOST} spans")


def _packed(pieces: list[Spans]) -> list[bytes]:
    return pack(normal(np.concatenate(pieces)))


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)  # staging them takes long and nothing of it waits


async def delete_roi(view: View) -> Reply:
    """Empty the region of this version; its ancestors keep theirs. No error when it is empty."""

    async def change(m: Mutation) -> None:
        m.delete(SPANS.key())

    await view.edit("roi", change)
    return EMPTY


async def get_mask(view: View, plane: PlaneName, size: Vec3, offset: Vec3) -> Reply:
    """A byte for each voxel of the box of <size> voxels at <offset>: 1 inside the region, else 0.

    The bytes come as octets without a header, x fastest, then y, then z. <plane> must be `0_1_2` (or `vol`).

        GET /api/node/3f8c/rois/mask/0_1_2/512_512_256/0_128_0
    """
    if plane.is_flat:
        raise BadRequest(f"plane: a mask is three-dimensional, 0_1_2; got {plane.name}")
    region = _region(view)
    box = mask_box(size, offset, region.block)
    if not box.count:
        return Reply(b"", OCTETS)
    return Reply(content_type=OCTETS, stream=mask_stream(region, box), length=box.count)


async def point_query(view: View, request: Request) -> Reply:
    """For each voxel of the body, a JSON list of [x, y, z], whether the region has it: a JSON list of booleans.

    It changes nothing and works on committed versions too.

        POST /api/node/3f8c/rois/ptquery    [[100, 910, 0], [5, 5, 5]]
        [true, false]
    """
    region = _region(view)
    answers: list[NDArray[np.bool_]] = []
    held: list[NDArray[np.int32]] = []
    total = waiting = 0
    async for points in read_rows(view, request, 3, "the list of points"):
        held.append(points[:, ::-1])
        total, waiting = total + len(points), waiting + len(points)
        if total > ANSWERS:
            raise BadRequest(f"more than the {ANSWERS} points that are taken here; send them in several requests")
        if waiting >= POINTS:
            answers.append(await region.has_voxels(np.concatenate(held)))
            held, waiting = [], 0
    answers.append(await region.has_voxels(np.concatenate(held) if held else NONE[:, :3]))
    return Reply(content_type=JSON, stream=_bool_list(answers))


async def _bool_list(answers: Iterable[NDArray[np.bool_]]) -> AsyncIterator[bytes]:
    sign = b"["
    for some in answers:
        for at in range(0, len(some), 8 * PAGE):
            yield sign + _items(some[at : at + 8 * PAGE])
            sign = b","
            await asyncio.sleep(0)
    yield b"]" if sign == b"," else b"[]"


class PartitionQuery(msgspec.Struct, frozen=True):
    """How to cut a region."""

    batchsize: Annotated[int | None, About(f"blocks along a side of a subvolume, 1 to {WIDEST}; must be given")] = None
    optimized: Annotated[
        Switch, About("`true` or `on`: subvolumes that fit the region, up to one block larger, instead of equal cubes")
    ] = False


async def get_partition(view: View, query: PartitionQuery) -> Reply:
    """Boxes that cover the region, for jobs that go over it.

    Each box ("subvolume") has its first and last block (MinChunk, MaxChunk) and voxel (MinPoint, MaxPoint), all
    [x, y, z] and inside, the number of its blocks and how many of them are in the region (ActiveBlocks). Plain boxes
    are cubes of `batchsize` blocks, those without any block of the region left out, though counted in NumTotalBlocks.

        GET /api/node/3f8c/rois/partition?batchsize=16
        {"NumTotalBlocks": 4096, "NumActiveBlocks": 320, "NumSubvolumes": 1, "ROI": {"MinChunk": [0, 0, 0],
         "MaxChunk": [15, 4, 3]}, "Subvolumes": [{"MinPoint": [0, -64, -64], "MaxPoint": [511, 447, 447],
         "MinChunk": [0, -2, -2], "MaxChunk": [15, 13, 13], "TotalBlocks": 4096, "ActiveBlocks": 320}]}
    """
    if query.batchsize is None or not 1 <= query.batchsize <= WIDEST:
        raise BadRequest(f"batchsize: expected a whole number from 1 to {WIDEST}")
    region = _region(view)
    extents = await region.extents()
    if extents is None:
        low, high = [0, 0, EMPTY_MIN], [0, 0, EMPTY_MAX]
        return Reply.json(_partition_head(0, 0, 0, low, high) | {"Subvolumes": []})
    how = layout(extents, query.batchsize, query.optimized)
    found: list[Boxes] = []
    async for spans in whole_layers(region.spans(), how.z):
        found.append(await view.run(cover, spans, how))
    total = sum(boxes.total for boxes in found)
    active = sum(int(boxes.active.sum()) for boxes in found)
    count = sum(len(boxes.active) for boxes in found)
    head = _partition_head(total, active, count, extents.low[::-1], [n - 1 for n in extents.high[::-1]])
    return Reply(content_type=JSON, stream=_partition(view, head, found, region.block[::-1]))


EMPTY_MIN, EMPTY_MAX = 2**31 - 1, -(2**31)
"""The extent along z that an empty region shows."""


def _partition_head(total: int, active: int, count: int, low: Iterable[int], high: Iterable[int]) -> dict[str, Any]:
    return {
        "NumTotalBlocks": total,
        "NumActiveBlocks": active,
        "NumSubvolumes": count,
        "ROI": {"MinChunk": list(low), "MaxChunk": list(high)},
    }


async def _partition(
    view: View, head: dict[str, Any], found: Iterable[Boxes], block: tuple[int, int, int]
) -> AsyncIterator[bytes]:
    sign = msgspec.json.encode(head)[:-1] + b',"Subvolumes":['
    for boxes in found:
        for at in range(0, len(boxes.active), PAGE):
            yield sign + await view.run(_subvolumes, boxes, slice(at, at + PAGE), block)
            sign = b","
    yield b"]}"


def _subvolumes(boxes: Boxes, some: slice, block: tuple[int, int, int]) -> bytes:
    """A kernel: boxes as items of a JSON list."""
    low, high = boxes.low[some, ::-1], boxes.high[some, ::-1]
    first, last = low * block, (high + 1) * block - 1
    columns = [n.tolist() for n in (first, last, low, high, np.prod(high - low + 1, axis=1), boxes.active[some])]
    names = ("MinPoint", "MaxPoint", "MinChunk", "MaxChunk", "TotalBlocks", "ActiveBlocks")
    return msgspec.json.encode([dict(zip(names, values)) for values in zip(*columns)])[1:-1]


ROUTES = (
    get("roi", get_roi),
    post("roi", post_roi),
    delete("roi", delete_roi),
    get("mask/{plane}/{size}/{offset}", get_mask),
    post("ptquery", point_query, mutates=False),
    get("partition", get_partition, query=PartitionQuery),
)
