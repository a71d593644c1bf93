"""The endpoints of sparse volumes: where bodies and supervoxels are."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
import numpy as np

from dvid_core import OCTETS, About, BadRequest, Param, Reply, Uint64, Unavailable, Vec3, View, get, head

from ..geometry import Triple
from .asking import Scale, Yes, check_body, check_indexed, instance_of
from .keys import BODY
from .packing import box_of_blocks
from .sparse import TRIES, Bounds, Sparse, find_place, find_sparse
from .sparse_coarse import block_runs, coarse_of_all
from .sparse_forms import NOTHING, RUN, Compression, blocks_reply, rles_reply, runs_head, sent, srles_reply
from .sparse_small import blocks_of_small, box_of_small, runs_of_small

ABSENT = Reply(b"", None, status=404)
"""There is no such body or supervoxel."""

NOT_HERE = Reply(b"", None, status=204)
"""The same, as HEAD says it."""


def parse_int32(text: str) -> int:
    """A coordinate of 32 bits."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and -(2**31) <= int(text) < 2**31):
        raise ValueError("expected a whole number of 32 bits")
    return int(text)


Coordinate = Annotated[int, Param(parse_int32, "a coordinate", {"type": "integer"})]


class BoundsQuery(msgspec.Struct, frozen=True):
    """A box that a sparse volume is restricted to."""

    supervoxels: Annotated[Yes, About("`true`: <label> is a supervoxel, not a body")] = False
    minx: Annotated[Coordinate | None, About("the first x of interest, in voxels")] = None
    maxx: Annotated[Coordinate | None, About("the last x")] = None
    miny: Annotated[Coordinate | None, About("the first y")] = None
    maxy: Annotated[Coordinate | None, About("the last y")] = None
    minz: Annotated[Coordinate | None, About("the first z")] = None
    maxz: Annotated[Coordinate | None, About("the last z")] = None

    @property
    def bounds(self) -> Bounds:
        """The box."""
        return Bounds((self.minx, self.miny, self.minz), (self.maxx, self.maxy, self.maxz))


class SparseQuery(BoundsQuery, frozen=True):
    """Options of sparsevol."""

    format: Annotated[str, About("`rles`: a head and runs; `srles`: runs; `blocks`: masks of blocks")] = "rles"
    compression: Annotated[str, About("of rles: `gzip`, or `lz4`, an LZ4 block without a head")] = ""
    scale: Annotated[Scale, About("0 is full resolution, each further one half of it")] = 0
    exact: Annotated[
        bool,
        Param(lambda t: t != "false", schema={"type": "string", "enum": ["true", "false"]}),
        About("`false`: runs may stick out of the bounds within the blocks that these touch"),
    ] = True


class SizeQuery(msgspec.Struct, frozen=True):
    """Options of sparsevol-size."""

    supervoxels: Annotated[Yes, About("`true`: <label> is a supervoxel, not a body")] = False


async def _found(view: View, label: int, query: SparseQuery) -> Sparse | None:
    """The volume that is asked for; None without any block."""
    _compression(query)
    found = await find_sparse(
        view, label, supervoxel=query.supervoxels, scale=query.scale, bounds=query.bounds, exact=query.exact
    )
    return found if found is not None and len(found.blocks) else None


def _compression(query: SparseQuery) -> Compression:
    if query.format in ("srles", "blocks"):
        return ""
    if query.compression not in ("", "gzip", "lz4"):
        raise BadRequest(f"compression: expected gzip or lz4, got {query.compression[:40]!r}")
    return cast("Compression", query.compression)


async def _reply(view: View, sparse: Sparse | None, label: int, query: SparseQuery) -> Reply:
    if sparse is None:
        return ABSENT
    if query.format == "srles":
        reply = await srles_reply(sparse)
    elif query.format == "blocks":
        reply = await blocks_reply(sparse, label)
    else:
        reply = await rles_reply(sparse, _compression(query))
    return ABSENT if reply is NOTHING and instance_of(view).sparse_rules.empty_is_absent else reply


async def get_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """The voxels of a body, or of a supervoxel; 404 when there is none, also when no block of it meets the bounds.

    rles, the default, is a head of 12 bytes (uint8 0, 3, 0, 0, uint32 0, uint32 n) and n runs along x: int32 x, y, z of
    the first voxel, int32 length. srles is the runs alone and comes as a stream. Runs are disjoint, in no order; with
    scale=s their coordinates, and the bounds, are in voxels of that scale. Where a label has no voxel left the reply
    is empty.

    blocks is uint32 gx, gy, gz (sub-blocks of 8 x 8 x 8 voxels in a block), uint64 label, then for each block int32
    x, y, z of its first voxel and a uint8: 1 where all voxels are of the label, else 2 and for each sub-block, x
    fastest, a uint8 0 (none), 1 (all) or 2, after which come 64 bytes of bits, x fastest, the least significant first.
    Here bounds choose blocks. All numbers are little-endian.

        GET /api/node/3f8c/segmentation/sparsevol/23?minz=100&maxz=200&compression=lz4
        GET /api/node/3f8c/segmentation/sparsevol/23?format=blocks&scale=2
        GET /api/node/3f8c/segmentation/sparsevol/7000001?supervoxels=true&format=srles
    """
    check_body(label)
    check_indexed(view)
    return await _reply(view, await _found(view, label, query), label, query)


async def head_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """Whether a body, or supervoxel, has blocks within the bounds: 200 if so, else 204.

        HEAD /api/node/3f8c/segmentation/sparsevol/23
    """  # fmt: skip
    check_body(label)
    check_indexed(view)
    return NOT_HERE if await _found(view, label, query) is None else Reply(b"", None)


async def get_by_point(view: View, point: Vec3, query: SparseQuery) -> Reply:
    """As sparsevol, of the body (or supervoxel) at the voxel x_y_z; 400 where there is none.

    With scale=s the point is in voxels of that scale.

        GET /api/node/3f8c/segmentation/sparsevol-by-point/100_200_300?format=srles
    """
    instance = check_indexed(view)
    voxels = instance.volume(view, query.scale, supervoxels=True)
    at = np.array([point[::-1]], np.int64)
    for _ in range(TRIES):
        label = supervoxel = int((await voxels.at_points(at))[0])
        seen = instance.seen(view)
        if not query.supervoxels:
            label = int(seen.bodies(np.array([supervoxel], np.uint64))[0])
        if not label:
            raise BadRequest(f"point: there is no label at {', '.join(map(str, point))}")
        try:
            sparse = await _found(view, label, query)
        except BadRequest:
            if instance.seen(view) is seen:
                raise
            continue
        if sparse is not None or instance.seen(view) is seen:
            return await _reply(view, sparse, label, query)
        # The label moved on between the looks at the voxel and at the index.
    raise Unavailable("the label at this point is changed faster than it can be read; try again")


async def get_size(view: View, label: Uint64, query: SizeQuery) -> Reply:
    """The voxels of a body, or of a supervoxel, its blocks and the box of these blocks; 404 when there is none.

    Replies {"voxels", "numblocks", "minvoxel", "maxvoxel"}, corners x, y, z, both inside.

        GET /api/node/3f8c/segmentation/sparsevol-size/23
    """
    check_body(label)
    small = None if query.supervoxels else await _small(view, label)
    if small is not None:
        voxels, blocks = small
        return _size_reply(view, voxels, len(blocks), *box_of_small(blocks))
    place = await find_place(view, label, supervoxel=query.supervoxels, limits=None)
    if place is None or not len(place.blocks):
        return ABSENT
    return _size_reply(view, place.voxels, len(place.blocks), *box_of_blocks(place.blocks))


async def _small(view: View, label: int) -> tuple[int, list[int]] | None:
    data = await view.get(BODY.key(label))
    return None if data is None else blocks_of_small(data)


def _size_reply(view: View, voxels: int, blocks: int, low: Triple, high: Triple) -> Reply:
    instance = instance_of(view)
    z, y, x = instance.settings.block
    found = {
        "numblocks": blocks,
        "minvoxel": (low[2] * x, low[1] * y, low[0] * z),
        "maxvoxel": (high[2] * x + x - 1, high[1] * y + y - 1, high[0] * z + z - 1),
    }
    return Reply.json({"voxels": voxels, **found} if instance.sparse_rules.tells_voxels else found)


async def get_coarse(view: View, label: Uint64, query: BoundsQuery) -> Reply:
    """The blocks of a body, or of a supervoxel, as runs like those of sparsevol, in block coordinates.

    Bounds are in voxels. 404 when there is no such label.

        GET /api/node/3f8c/segmentation/sparsevol-coarse/23?minz=100&maxz=200
    """
    check_body(label)
    instance = check_indexed(view)
    bounds = query.bounds
    small = await _small(view, label) if bounds.open and not query.supervoxels else None
    if small is not None:
        packed = runs_of_small(small[1])
        return Reply(runs_head(len(packed) // RUN) + packed, OCTETS)
    limits = None if bounds.open else bounds.blocks(instance.settings.block)
    place = await find_place(view, label, supervoxel=query.supervoxels, limits=limits)
    if place is None or (not len(place.blocks) and instance.sparse_rules.empty_is_absent):
        return ABSENT
    runs = block_runs(place.blocks)
    return sent(runs_head(len(runs)) + runs.tobytes())


async def get_all_coarse(view: View, first: Uint64, last: Uint64, query: BoundsQuery) -> Reply:
    """The blocks of all bodies from <first> to <last>, ascending, as a stream.

    Each is uint64 label, int32 n and n runs: int32 x, y, z, length in block coordinates, all little-endian. Bounds are
    in voxels; a body outside has n = 0.

        GET /api/node/3f8c/segmentation/sparsevols-coarse/1000/2000
    """
    check_body(first)
    check_body(last)
    size = instance_of(view).settings.block
    limits = None if query.bounds.open else query.bounds.blocks(size)
    return Reply(content_type=OCTETS, stream=coarse_of_all(view, first, last, limits))


ROUTES = (
    get("sparsevol/{label}", get_sparsevol, query=SparseQuery),
    head("sparsevol/{label}", head_sparsevol, query=SparseQuery),
    get("sparsevol-by-point/{point}", get_by_point, query=SparseQuery),
    get("sparsevol-size/{label}", get_size, query=SizeQuery),
    get("sparsevol-coarse/{label}", get_coarse, query=BoundsQuery),
    get("sparsevols-coarse/{first}/{last}", get_all_coarse, query=BoundsQuery),
)
