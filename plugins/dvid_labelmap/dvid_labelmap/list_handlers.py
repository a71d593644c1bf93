"""The endpoints that list the bodies of a version."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
import numpy as np

from dvid_core import JSON, OCTETS, About, Disputed, Param, Reply, Value, View, get
from dvid_voxels.segmentation.asking import Yes
from dvid_voxels.segmentation.body import head_of
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.merging import FirstParent

LISTED = 10_000_000
"""Labels that listlabels sends at most."""


def _uint64(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or int(text) >= 2**64:
        raise ValueError("expected a whole number from 0 to 2^64-1")
    return int(text)


class ListQuery(msgspec.Struct, frozen=True):
    """Options of listlabels."""

    start: Annotated[int, Param(_uint64), About("the first label that may come")] = 0
    number: Annotated[int, Param(_uint64), About(f"how many may come; at most {LISTED}")] = LISTED
    sizes: Annotated[Yes, About("`true`: the voxels of each body follow its label")] = False


async def get_existing_labels(view: View) -> Reply:
    """The bodies that have an index, ascending, as a JSON list."""
    return Reply(content_type=JSON, stream=_existing(view))


async def _existing(view: View) -> AsyncIterator[bytes]:
    sign = b"["
    async for page in view.scan_keys(*BODY.all()):
        yield sign + b",".join([b"%d" % int.from_bytes(tkey[1:], "big") for tkey in page])
        sign = b","
    yield b"]" if sign == b"," else b"[]"


async def get_listlabels(view: View, query: ListQuery) -> Reply:
    """The bodies that have an index, ascending, as uint64 LE, with sizes=true each followed by its voxels.

    GET /api/node/3f8c/segmentation/listlabels?start=1000&number=100&sizes=true
    """
    stream = _listed(view, query.start, min(query.number, LISTED), query.sizes)
    return Reply(content_type=OCTETS, stream=stream)


async def _listed(view: View, start: int, number: int, sizes: bool) -> AsyncIterator[bytes]:
    first, last = BODY.key(start), BODY.all()[1]
    if not number:
        return
    if not sizes:
        async for page in view.scan_keys(first, last):
            names = b"".join([tkey[1:] for tkey in page[:number]])
            yield np.frombuffer(names, ">u8").astype("<u8").tobytes()
            number -= len(page)
            if number <= 0:
                return
        return
    async for found in view.scan(first, last):
        out: list[int] = []
        for tkey, value in found[:number]:
            out += [int.from_bytes(tkey[1:], "big"), head_of(await _head(view, tkey, value))[0]]
        yield np.array(out, "<u8").tobytes()
        number -= len(found)
        if number <= 0:
            return


async def _head(view: View, tkey: bytes, found: Value | Disputed) -> bytes:
    """The beginning of the stored form of an index."""
    value = found if isinstance(found, Value) else (await FirstParent(view).find_many([tkey]))[0]
    assert value is not None
    return value.inline if value.inline is not None else await value.read(0, 64)


ROUTES = (
    get("existing-labels", get_existing_labels),
    get("listlabels", get_listlabels, query=ListQuery),
)
