"""The endpoints that say where bodies are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec
import numpy as np

from dvid_core import OCTETS, About, BadRequest, Instance, Param, Reply, Uint64, Vec3, View, get, head
from dvid_voxels.label_events import LabelsAt
from dvid_voxels.segmentation.asking import check_body
from dvid_voxels.segmentation.sparse import Bounds, find_place, find_sparse
from dvid_voxels.segmentation.sparse_coarse import block_runs
from dvid_voxels.segmentation.sparse_forms import NOTHING, PACKERS, rles_reply, runs_head, sent
from dvid_voxels.segmentation.sparse_handlers import ABSENT, NOT_HERE, Coordinate

if TYPE_CHECKING:
    from .labelvol import LabelVol

TRIES = 4


class SparseQuery(msgspec.Struct, frozen=True):
    """Options of sparsevol."""

    minx: Annotated[Coordinate | None, About("the first x of interest, in voxels")] = None
    maxx: Annotated[Coordinate | None, About("the last x")] = None
    miny: Annotated[Coordinate | None, About("the first y")] = None
    maxy: Annotated[Coordinate | None, About("the last y")] = None
    minz: Annotated[Coordinate | None, About("the first z")] = None
    maxz: Annotated[Coordinate | None, About("the last z")] = None
    exact: Annotated[
        bool,
        Param(lambda t: t != "false", schema={"type": "string", "enum": ["true", "false"]}),
        About("`false`: all runs of the blocks that the bounds touch"),
    ] = True
    compression: Annotated[Literal["", "gzip", "lz4"], About("`gzip`, or `lz4`, an LZ4 block without a head")] = ""

    @property
    def bounds(self) -> Bounds:
        """The box that is asked for."""
        return Bounds((self.minx, self.miny, self.minz), (self.maxx, self.maxy, self.maxz))

    @property
    def depth(self) -> Bounds:
        """The same along z alone."""
        return Bounds((None, None, self.minz), (None, None, self.maxz))


WHOLE = SparseQuery()


def instance_of(view: View) -> LabelVol:
    """The instance, as the type it is."""
    return cast("LabelVol", view.instance)


async def get_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """The voxels of a label, as runs along x; 404 when it has no block between minz and maxz.

    A head of 12 bytes (uint8 0, 3, 0, 0, uint32 0, uint32 n) and n runs: int32 x, y, z of the first voxel, int32
    length; all little-endian. Runs are disjoint, in no order. Bounds are inside; runs are cut at them.

        GET /api/node/3f8c/bodies/sparsevol/23?minz=100&maxz=200&compression=lz4
    """
    check_body(label)
    return await _steady(view, lambda: _sparsevol(view, label, query))


async def _steady(view: View, read: Callable[[], Awaitable[Reply]]) -> Reply:
    """A reply that is made in several steps, begun again when an edit came between them."""
    instance = instance_of(view)
    for _ in range(TRIES):
        before = instance.changes
        reply = await read()
        if instance.changes == before:
            break
    return reply


async def _sparsevol(view: View, label: int, query: SparseQuery) -> Reply:
    sparse = await find_sparse(view, label, bounds=query.bounds, exact=query.exact)
    if sparse is None:
        return ABSENT
    if not len(sparse.blocks) and not await _meets(view, label, query.depth):
        return ABSENT
    reply = await rles_reply(sparse, query.compression)
    if reply is not NOTHING:
        return reply
    data = runs_head(0)
    if query.compression:
        packer = PACKERS[query.compression]()
        data = packer.add(data) + packer.end()
    return Reply(data, OCTETS)


async def _meets(view: View, label: int, bounds: Bounds) -> bool:
    """Whether a label has a block that the bounds touch."""
    limits = None if bounds.open else bounds.blocks(instance_of(view).settings.block)
    place = await find_place(view, label, supervoxel=False, limits=limits)
    return place is not None and len(place.blocks) > 0


async def head_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """Whether a label has a block that the bounds touch: 200 if so, else 204.

        HEAD /api/node/3f8c/bodies/sparsevol/23?minz=100&maxz=200
    """  # fmt: skip
    check_body(label)
    return Reply(b"", "text/html") if await _meets(view, label, query.bounds) else NOT_HERE


def labelblk_of(instance: LabelVol) -> Instance:
    """The labelblk that is followed.  Raises `BadRequest`."""
    for source in instance.sources():
        return source
    raise BadRequest(f"{instance.name} follows no labelblk; POST sync sets one")


async def get_by_point(view: View, point: Vec3) -> Reply:
    """As sparsevol, of the label at the voxel x_y_z of the labelblk that is followed; 400 where there is none.

        GET /api/node/3f8c/bodies/sparsevol-by-point/100_200_300
    """  # fmt: skip
    peer = await view.peer(labelblk_of(instance_of(view)).name, LabelsAt)
    label = int((await peer.labels_at(np.array([point[::-1]], np.int64)))[0])
    if not label:
        raise BadRequest(f"point: there is no label at {', '.join(map(str, point))}")
    return await _steady(view, lambda: _sparsevol(view, label, WHOLE))


async def get_coarse(view: View, label: Uint64) -> Reply:
    """The blocks of a label as runs like those of sparsevol, in block coordinates; 404 when there are none.

        GET /api/node/3f8c/bodies/sparsevol-coarse/23
    """  # fmt: skip
    check_body(label)
    place = await find_place(view, label, supervoxel=False, limits=None)
    if place is None or not len(place.blocks):
        return ABSENT
    runs = block_runs(place.blocks)
    return sent(runs_head(len(runs)) + runs.tobytes())


ROUTES = (
    get("sparsevol/{label}", get_sparsevol, query=SparseQuery),
    head("sparsevol/{label}", head_sparsevol, query=SparseQuery),
    get("sparsevol-by-point/{point}", get_by_point),
    get("sparsevol-coarse/{label}", get_coarse),
)
