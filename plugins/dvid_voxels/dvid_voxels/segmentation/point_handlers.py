"""The endpoints that tell the labels of points."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import JSON, About, BadRequest, Reply, Request, Vec3, View, get

from .. import labels
from .asking import LabelQuery, instance_of, read_list
from .keys import BLOCK
from .merging import may_dispute
from .volume import Unpacker

Coordinate = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
POINTS: msgspec.json.Decoder[list[tuple[Coordinate, Coordinate, Coordinate]]] = msgspec.json.Decoder(
    list[tuple[Coordinate, Coordinate, Coordinate]]
)


class PointsQuery(LabelQuery, frozen=True):
    """Options of labels."""

    hash: Annotated[str, About("MD5 of the body in lower-case hex: refuse a body that has another")] = ""


async def get_label(view: View, point: Vec3, query: LabelQuery) -> Reply:
    """The label of the voxel x_y_z: {"Label": 23}; 0 where nothing was written.

    With scale=s the point is in voxels of that scale.

        GET /api/node/3f8c/segmentation/label/100_200_300
    """
    volume = instance_of(view).volume(view, query.scale, supervoxels=query.supervoxels)
    z, y, x = point[::-1]
    depth, rows, width = volume.size
    block = z // depth, y // rows, x // width
    if may_dispute(view, BLOCK.number):
        await view.raw(BLOCK.key(query.scale, block))
    found = await volume.blocks.values([block])
    label = 0
    if found:
        inside = (z % depth, y % rows, x % width)
        label = await volume.run(1, _label_at, found[0][1], volume.unpack, inside)
        if volume.seen is not None and label:
            instance_of(view).check_mapping(view, label)
            label = int(volume.seen.bodies(np.array([label], np.uint64))[0])
    return Reply(b'{"Label": %d}' % label, JSON)


def _label_at(stored: bytes, unpack: Unpacker, inside: tuple[int, int, int]) -> int:
    return labels.label_at(unpack(stored), *inside)


def parse_points(data: bytes) -> NDArray[np.int64]:
    """A JSON list of points [x, y, z]: (n, 3) of z, y, x.  Raises `BadRequest`."""
    try:
        points = POINTS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise BadRequest(f"the body is no JSON list of points [x, y, z]: {err}") from None
    return np.array(points, np.int64).reshape(-1, 3)[:, ::-1]


async def get_labels(view: View, request: Request, query: PointsQuery) -> Reply:
    """The labels of many voxels, in their order; the body is a JSON list of points [x, y, z].

        GET /api/node/3f8c/segmentation/labels     with the body  [[100, 200, 300], [101, 200, 300]]
    """  # fmt: skip
    data = await read_list(request, query.hash)
    points = parse_points(data) if len(data) < 1 << 14 else await view.run(parse_points, data)
    volume = instance_of(view).volume(view, query.scale, supervoxels=query.supervoxels)
    return Reply.json((await volume.at_points(points)).tolist())


ROUTES = (
    get("label/{point}", get_label, query=LabelQuery),
    get("labels", get_labels, query=PointsQuery),
)
