"""The endpoints of labelsz."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

from dvid_core import EMPTY, JSON, About, BadRequest, Param, Reply, Request, Uint64, View, get, post, put
from dvid_voxels.segmentation.asking import read_labels

from .counts import IndexType, column, read_count, read_counts

if TYPE_CHECKING:
    from .labelsz import LabelSz

PAGE = 5000
"""Rows that are written as JSON before others are served."""

USUAL = 10_000
"""Ranks that threshold gives when nobody says how many."""


def _parse_number(text: str) -> int:
    if not re.fullmatch(r"0{0,100}[0-9]{1,10}", text, re.ASCII) or int(text) >= 2**32:
        raise ValueError("expected a whole number from 0 to 2^32-1")
    return int(text)


Number = Annotated[
    int,
    Param(_parse_number, "a whole number from 0 to 2^32-1", {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}),
]


class PageQuery(msgspec.Struct, frozen=True):
    """Which part of a list."""

    offset: Annotated[int, About("how many ranks are left out at the beginning")] = 0
    n: Annotated[int, About("how many ranks are wanted at most; 0: 10,000")] = 0


def _instance(view: View) -> LabelSz:
    instance = cast("LabelSz", view.instance)
    instance.check_ready(view)
    return instance


async def _rows(name: str, count: int, page: Callable[[int, int], tuple[list[int], list[int]]]) -> AsyncIterator[bytes]:
    form, sign = b'{"Label":%%d,"%s":%%d}' % name.encode(), b"["
    for at in range(0, count, PAGE):
        yield sign + b",".join([form % row for row in zip(*page(at, min(at + PAGE, count)))])
        sign = b","
    yield b"]" if count else b"[]"


async def get_count(view: View, label: Uint64, kind: IndexType) -> Reply:
    """The number of elements of an index type on a label: {"Label": 188, "PreSyn": 81}; 0 for unknown labels.

        GET /api/node/3f8c/synapses_labelsz/count/188/PreSyn
    """  # fmt: skip
    _instance(view)
    return Reply(b'{"Label":%d,"%b":%d}' % (label, kind.encode(), await read_count(view, label, kind)), JSON)


async def get_counts(view: View, request: Request, kind: IndexType) -> Reply:
    """The same for the labels of a JSON list, in its order: [{"Label": 188, "PreSyn": 81}, ...].

        GET /api/node/3f8c/synapses_labelsz/counts/PreSyn     with the body  [188, 21]
    """  # fmt: skip
    _instance(view)
    labels = await read_labels(view, request)
    counts = column(await read_counts(view, labels), kind)

    def page(start: int, stop: int) -> tuple[list[int], list[int]]:
        return labels[start:stop].tolist(), counts[start:stop].tolist()

    return Reply(content_type=JSON, stream=_rows(kind, len(labels), page))


async def get_top(view: View, n: Number, kind: IndexType) -> Reply:
    """The <n> labels with the most elements of an index type: [{"Label": 188, "Size": 81}, ...].

    They are ordered by count downwards, then by label; labels without such elements are not among them.

        GET /api/node/3f8c/synapses_labelsz/top/10/AllSyn
    """
    table = await _instance(view).tables.table(view, kind)
    count = min(n, table.at_least(kind, 1))
    return Reply(content_type=JSON, stream=_rows("Size", count, lambda a, b: table.rows(kind, a, b)))


async def get_threshold(view: View, threshold: Number, kind: IndexType, query: PageQuery) -> Reply:
    """The labels with at least <threshold> elements of an index type, as `top` gives them, page by page.

    GET /api/node/3f8c/synapses_labelsz/threshold/100/PostSyn
    GET /api/node/3f8c/synapses_labelsz/threshold/100/PostSyn?offset=10000&n=5000
    """
    if query.n < 0:
        raise BadRequest(f"n: expected a whole number from 0 on, got {query.n}")
    table = await _instance(view).tables.table(view, kind)
    count = table.at_least(kind, threshold)
    start = min(max(0, query.offset), count)
    count = min(query.n or USUAL, count - start)
    return Reply(content_type=JSON, stream=_rows("Size", count, lambda a, b: table.rows(kind, start + a, start + b)))


async def post_reload(view: View, request: Request) -> Reply:
    """Count anew all elements of the synced annotations at this version, in the background.

    Until it is done, counts of this version and those made of it are refused (400); changes that come meanwhile are
    counted in. Nothing happens when nothing is synced.

        POST /api/node/3f8c/synapses_labelsz/reload
    """
    instance = cast("LabelSz", view.instance)
    # Of an instance without versions, `view` is at the root, whatever version was asked for.
    _, node = instance.server.repos.find(request.uuid)
    await instance.reload(view.at(node))
    return EMPTY


async def same_info(view: View) -> Reply:
    """The same as GET info; nothing is changed."""
    return Reply.json(await view.instance.full_info(view))


ROUTES = (
    get("count/{label}/{kind}", get_count),
    get("counts/{kind}", get_counts),
    get("top/{n}/{kind}", get_top),
    get("threshold/{threshold}/{kind}", get_threshold, query=PageQuery),
    post("reload", post_reload),
    post("info", same_info, mutates=False),
    put("info", same_info, mutates=False),
)
