"""The endpoint that tells how near two bodies come to each other."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from dvid_core import JSON, About, BadRequest, Reply, Switch, Uint64, View, get

from .. import labels
from ..throttle import throttled_stream
from .asking import check_body, check_indexed
from .body import Labels
from .compiled import kernels
from .sparse import Sparse, find_sparse
from .sparse_handlers import ABSENT


class ProximityQuery(msgspec.Struct, frozen=True):
    """Options of proximity."""

    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


async def get_proximity(view: View, label: Uint64, other: Uint64, query: ProximityQuery) -> Reply:
    """The blocks that two bodies share, and how near they are in each; 404 when one of them does not exist.

    Replies [{"Block": [x, y, z], "Label": <other>, "Distance": 1.0}, ...] with block coordinates; the distance is the
    least between the centres of two voxels of the block, in voxels.

        GET /api/node/3f8c/segmentation/proximity/23/24
    """
    check_body(label)
    check_body(other)
    check_indexed(view)
    if label == other:
        raise BadRequest("other: two different bodies are needed")
    found = [await find_sparse(view, name) for name in (label, other)]
    if found[0] is None or found[1] is None:
        return ABSENT
    shared = np.intersect1d(found[0].blocks, found[1].blocks, assume_unique=True)
    both = [msgspec.structs.replace(one, blocks=shared) for one in found if one is not None]
    return Reply(content_type=JSON, stream=throttled_stream(view, query.throttle, _listed(both[0], both[1], other)))


async def _listed(first: Sparse, second: Sparse, other: int) -> AsyncIterator[bytes]:
    sign = b"["
    async for page in first.made(_distances, second.labels):
        entries = [
            msgspec.json.encode({"Block": [x, y, z], "Label": other, "Distance": math.sqrt(squared)})
            for (z, y, x), squared in page
        ]
        if entries:
            yield sign + b",".join(entries)
            sign = b","
    yield b"]" if sign == b"," else b"[]"


def _distances(found: labels.Blocks, chosen: Labels, others: Labels) -> Sequence[tuple[Any, int]]:
    """A kernel: by block the least squared distance between the voxels of two sets of labels."""
    out = []
    for n, at in enumerate(found.at.tolist()):
        voxels = labels.decode(found[n], found.size)
        masks = [np.isin(voxels, names).view(np.uint8) for names in (chosen, others)]
        if all(mask.any() for mask in masks):
            out.append((at, int(kernels().nearest(*masks))))
    return out


ROUTES = (get("proximity/{label}/{other}", get_proximity, query=ProximityQuery),)
