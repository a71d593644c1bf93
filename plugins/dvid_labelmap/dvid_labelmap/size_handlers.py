"""The endpoints of the sizes of bodies and supervoxels."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from dvid_core import About, BadRequest, Reply, Request, Uint64, View, get
from dvid_voxels.segmentation.asking import Yes, check_body, read_labels
from dvid_voxels.segmentation.body import Body
from dvid_voxels.segmentation.index import Reader, read_bodies, sizes_of
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.merging import first_parent

from .asking import ABSENT, labelmap_of
from .mapping import Labels
from .past import PastQuery, body_of

AT_ONCE = 256
"""Indices that are read at a time."""


class SizeQuery(msgspec.Struct, frozen=True):
    """Options of sizes."""

    supervoxels: Annotated[Yes, About("`true`: of supervoxels, not of bodies")] = False
    hash: Annotated[str, About("MD5 of the body in lower-case hex: refuse a body that has another")] = ""


class OneSizeQuery(PastQuery, frozen=True):
    """Options of size."""

    supervoxels: Annotated[Yes, About("`true`: of a supervoxel, not of a body")] = False


async def get_size(view: View, label: Uint64, query: OneSizeQuery) -> Reply:
    """The voxels of a body, or of a supervoxel: {"voxels": 1234}; 404 when there is none.

        GET /api/node/3f8c/segmentation/size/23?supervoxels=true
        GET /api/node/3f8c/segmentation/size/23?mutid=1000000123
    """  # fmt: skip
    check_body(label)
    if query.mutid is not None:
        if query.supervoxels:
            raise BadRequest("mutid: only bodies of the past are known, not supervoxels")
        body = await body_of(view, label, query.mutid)
        voxels = 0 if body is None else body.voxels
    elif query.supervoxels:
        if not int(labelmap_of(view).seen(view).bodies(np.array([label], np.uint64))[0]):
            raise BadRequest(f"supervoxel {label} was split or retired")
        labelmap_of(view).check_mapping(view, label)
        [voxels] = await supervoxel_sizes(view, view, np.array([label], np.uint64))
    else:
        [voxels] = await sizes_of(view, [label])
    return Reply.json({"voxels": voxels}) if voxels else ABSENT


async def get_sizes(view: View, request: Request, query: SizeQuery) -> Reply:
    """The voxels of many bodies or supervoxels, in their order, 0 for those that are not there; the body is a list.

    GET /api/node/3f8c/segmentation/sizes     with the body  [23, 24]
    """
    asked = await read_labels(view, request, query.hash)
    reader = first_parent(view, BODY.number)
    if query.supervoxels:
        return Reply.json(await supervoxel_sizes(view, reader, asked))
    out: list[int] = []
    names = asked.tolist()
    for at in range(0, len(names), 1 << 14):
        out += await sizes_of(reader, names[at : at + (1 << 14)])
    return Reply.json(out)


async def supervoxel_sizes(view: View, reader: Reader, supervoxels: Labels) -> list[int]:
    """The voxels of supervoxels in the indices of their bodies; 0 for those that are retired or not there."""
    bodies = await view.run(labelmap_of(view).seen(view).bodies, supervoxels)
    out = np.zeros(len(supervoxels), np.uint64)
    labels = np.unique(bodies[bodies > 0]).tolist()
    for at in range(0, len(labels), AT_ONCE):
        found = await read_bodies(reader, labels[at : at + AT_ONCE])
        await view.run(_fill_sizes, out, found, supervoxels, bodies)
    return [int(n) for n in out]


def _fill_sizes(out: Labels, found: dict[int, Body], supervoxels: Labels, bodies: Labels) -> None:
    order = np.argsort(bodies, kind="stable")
    ordered = bodies[order]
    for label, body in found.items():
        names, voxels = body.sizes()
        low, high = _span(ordered, label)
        rows = order[low:high]
        places = np.minimum(np.searchsorted(names, supervoxels[rows]), max(0, len(names) - 1))
        if len(names):
            out[rows] = np.where(names[places] == supervoxels[rows], voxels[places], np.uint64(0))


def _span(ordered: Labels, label: int) -> tuple[int, int]:
    low = np.searchsorted(ordered, np.uint64(label), "left")
    return int(low), int(np.searchsorted(ordered, np.uint64(label), "right"))


ROUTES = (
    get("size/{label}", get_size, query=OneSizeQuery),
    get("sizes", get_sizes, query=SizeQuery),
)
