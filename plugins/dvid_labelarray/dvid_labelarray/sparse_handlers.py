"""The endpoints that say where bodies are."""

from __future__ import annotations

from dvid_core import Reply, Uint64, Vec3, View, get, head
from dvid_voxels.segmentation import sparse_handlers
from dvid_voxels.segmentation.asking import check_indexed, plain
from dvid_voxels.segmentation.sparse_handlers import BoundsQuery, SizeQuery, SparseQuery


async def get_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """The voxels of a body; 404 when there is no such body, or none of it within the bounds.

    rles, the default, is a head of 12 bytes (uint8 0, 3, 0, 0, uint32 0, uint32 n) and n runs along x: int32 x, y, z of
    the first voxel, int32 length. srles is the runs alone and comes as a stream. Runs are disjoint, in no order; with
    scale=s their coordinates, and the bounds, are in voxels of that scale. A run that maxx cuts may go on to the next
    multiple of 8 before which all voxels are of the body.

    blocks is uint32 gx, gy, gz (sub-blocks of 8 x 8 x 8 voxels in a block), uint64 label, then for each block int32
    x, y, z of its first voxel and a uint8: 1 where all voxels are of the label, else 2 and for each sub-block, x
    fastest, a uint8 0 (none), 1 (all) or 2, after which come 64 bytes of bits, x fastest, the least significant first.
    Here bounds choose blocks. All numbers are little-endian.

        GET /api/node/3f8c/bodies/sparsevol/23?minz=100&maxz=200&compression=lz4
        GET /api/node/3f8c/bodies/sparsevol/23?format=blocks&scale=2
    """
    return await sparse_handlers.get_sparsevol(view, label, query)


async def head_sparsevol(view: View, label: Uint64, query: SparseQuery) -> Reply:
    """Whether a body has blocks within the bounds: 200 if so, else 204.

        HEAD /api/node/3f8c/bodies/sparsevol/23
    """  # fmt: skip
    reply = await sparse_handlers.head_sparsevol(view, label, query)
    return Reply(b"", "text/html") if reply.status == 200 else reply


async def get_by_point(view: View, point: Vec3, query: SparseQuery) -> Reply:
    """As sparsevol, of the body at the voxel x_y_z; 400 where there is none.

        GET /api/node/3f8c/bodies/sparsevol-by-point/100_200_300?format=srles
    """  # fmt: skip
    return await sparse_handlers.get_by_point(view, point, query)


async def get_size(view: View, label: Uint64) -> Reply:
    """The number of a body's blocks and the box of these blocks; 404 when there is no such body.

    Replies {"numblocks", "minvoxel", "maxvoxel"}, corners x, y, z, both inside.

        GET /api/node/3f8c/bodies/sparsevol-size/23
    """
    check_indexed(view)
    return await sparse_handlers.get_size(view, label, SizeQuery())


async def get_coarse(view: View, label: Uint64, query: BoundsQuery) -> Reply:
    """The blocks of a body, as runs like those of sparsevol, in block coordinates; 404 when there are none.

    Bounds are in voxels.

        GET /api/node/3f8c/bodies/sparsevol-coarse/23?minz=100&maxz=200
    """
    return await sparse_handlers.get_coarse(view, label, query)


async def get_all_coarse(view: View, first: Uint64, last: Uint64, query: BoundsQuery) -> Reply:
    """The blocks of all bodies from <first> to <last>, ascending, as a stream.

    Each is uint64 label, int32 n and n runs: int32 x, y, z, length in block coordinates, all little-endian. Bounds are
    in voxels; a body outside has n = 0.

        GET /api/node/3f8c/bodies/sparsevols-coarse/1000/2000
    """
    check_indexed(view)
    return await sparse_handlers.get_all_coarse(view, first, last, query)


BOUNDS, SPARSE = plain(BoundsQuery), plain(SparseQuery)

ROUTES = (
    get("sparsevol/{label}", get_sparsevol, query=SPARSE),
    head("sparsevol/{label}", head_sparsevol, query=SPARSE),
    get("sparsevol-by-point/{point}", get_by_point, query=plain(SparseQuery, "scale")),
    get("sparsevol-size/{label}", get_size),
    get("sparsevol-coarse/{label}", get_coarse, query=BOUNDS),
    get("sparsevols-coarse/{first}/{last}", get_all_coarse, query=BOUNDS),
)
