"""The endpoint of NanoVDB index grids."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import msgspec

from dvid_core import OCTETS, About, BadRequest, Reply, Uint64, View, get

from .. import labels
from ..geometry import Triple
from ..pipeline import pipelined
from .asking import Scale, Yes, check_body, check_indexed
from .body import Labels
from .nanovdb_grid import Grid, Leaves, in_order
from .sparse import AHEAD, PAGE, Sparse, find_sparse, triples
from .sparse_handlers import ABSENT


class GridQuery(msgspec.Struct, frozen=True):
    """Options of fvdb."""

    supervoxels: Annotated[Yes, About("`true`: <label> is a supervoxel, not a body")] = False
    scale: Annotated[Scale, About("0 is full resolution, each further one half of it")] = 0
    name: Annotated[str, About("the name of the grid and of the file; label_<label> when it is not given")] = ""


def _leaves(found: labels.Blocks, chosen: Labels) -> Leaves:
    return in_order(labels.leaves(found, chosen))


def rows_of_blocks(sparse: Sparse) -> Iterator[list[Triple]]:
    """The blocks of a volume in pages of whole rows along x, none with blocks of several slabs."""
    page: list[Triple] = []
    for at in range(0, len(sparse.blocks), PAGE):
        for block in triples(sparse.blocks[at : at + PAGE]):
            if page and (block[0] != page[0][0] or (len(page) >= PAGE and block[:2] != page[-1][:2])):
                yield page
                page = []
            page.append(block)
    if page:
        yield page


async def get_fvdb(view: View, label: Uint64, query: GridQuery) -> Reply:
    """The voxels of a body, or of a supervoxel, as a NanoVDB index grid; 404 when there is none.

    The file is of NanoVDB's version 32.8 with one grid of type OnIndex. Its coordinates are voxels of the scale; the
    voxel size is that of the instance at any scale. Within nodes, children and voxels are numbered x fastest, and
    voxels from 0.

        GET /api/node/3f8c/segmentation/fvdb/23?scale=2&name=neuron
    """
    check_body(label)
    instance = check_indexed(view)
    sparse = await find_sparse(view, label, supervoxel=query.supervoxels, scale=query.scale)
    if sparse is None:
        return ABSENT
    name = query.name or f"label_{label}"
    grid = Grid(instance.server.spool_dir)
    try:
        async for slab, found in pipelined((_page(sparse, names) for names in rows_of_blocks(sparse)), AHEAD):
            await view.run(grid.add, slab, found)
        await view.run(grid.finish)
        if not grid.voxels:
            raise BadRequest(f"scale: label {label} has no voxel at scale {query.scale}")
        x, y, z = instance.settings.VoxelSize
        length, pieces = await view.run(grid.pieces, name, (x, y, z))
    except BaseException:
        await view.run(grid.close)
        raise
    headers = {"Content-Disposition": f'attachment; filename="{quoted(name)}.nvdb"'}
    return Reply(content_type=OCTETS, stream=_stream(view, grid, pieces), length=length, headers=headers)


async def _page(sparse: Sparse, names: list[Triple]) -> tuple[int, Leaves]:
    return names[0][0], await sparse.page(names, _leaves)


async def _stream(view: View, grid: Grid, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        while (piece := await view.run(next, pieces, None)) is not None:
            yield piece
    finally:
        # In a thread, since to give back gigabytes of files takes the system a second.
        await view.run(grid.close)


def quoted(name: str) -> str:
    """A name as it may stand between quotes in a header."""
    return re.sub(r'(["\\])', r"\\\1", re.sub(r"[\x00-\x1f\x7f-\x9f]", "_", name))


ROUTES = (get("fvdb/{label}", get_fvdb, query=GridQuery),)
