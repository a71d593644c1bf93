"""The endpoints of the mapping of supervoxels to bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import numpy as np

from dvid_core import EMPTY, OCTETS, About, Mutation, Reply, Request, View, get, post
from dvid_voxels.label_events import SupervoxelsMapped, pack_labels
from dvid_voxels.segmentation.asking import Yes, read_labels
from dvid_voxels.segmentation.body import has_supervoxel
from dvid_voxels.segmentation.keys import BODY
from dvid_voxels.segmentation.merging import first_parent

from .asking import labelmap_of
from .keys import POSTED
from .mapping import Labels, Seen, ordered
from .messages import read_mappings
from .snapshot import pieces
from .state import pack_pairs

MESSAGE = 768 << 20
"""Bytes of a posted mapping: some 50 million supervoxels."""

IN_RECORD = 4096
"""Supervoxels of a posted mapping that its log record holds."""

PAGE = 1 << 16
"""Supervoxels that are written to a reply at a time."""


class MappingQuery(msgspec.Struct, frozen=True):
    """Options of mapping."""

    nolookup: Annotated[
        Yes, About("`true`: a supervoxel that is not mapped is its own body, whether it exists or not")
    ] = False
    hash: Annotated[str, About("MD5 of the body in lower-case hex: refuse a body that has another")] = ""


class MappingsQuery(msgspec.Struct, frozen=True):
    """Options of GET mappings."""

    format: Annotated[str, About("`binary`: pairs of uint64 LE, supervoxel and body")] = ""


async def get_mapping(view: View, request: Request, query: MappingQuery) -> Reply:
    """The bodies of supervoxels, in their order; the body is a JSON list of supervoxels.

    A supervoxel that is not mapped is its own body if that has voxels of it, else 0; a retired one gives 0.

        GET /api/node/3f8c/segmentation/mapping     with the body  [23, 24]
    """
    supervoxels = await read_labels(view, request, query.hash)
    seen = labelmap_of(view).seen(view)
    bodies, mapped = seen.find(supervoxels) if len(supervoxels) < 4096 else await view.run(seen.find, supervoxels)
    if not query.nolookup:
        bodies = bodies.copy()
        open_ = np.flatnonzero(~mapped & (supervoxels > 0))
        names = supervoxels[open_].tolist()
        for at in range(0, len(names), PAGE):
            some = names[at : at + PAGE]
            stored = await first_parent(view, BODY.number).get_many([BODY.key(n) for n in some])
            lost = [
                i for i, (n, data) in enumerate(zip(some, stored), at) if data is None or not has_supervoxel(data, n)
            ]
            bodies[open_[lost]] = 0
    return Reply.json(bodies.tolist())


async def get_mappings(view: View, query: MappingsQuery) -> Reply:
    """All supervoxels that belong to a body of another name, as lines `supervoxel body`; 0 for retired ones.

        GET /api/node/3f8c/segmentation/mappings
        GET /api/node/3f8c/segmentation/mappings?format=binary
    """  # fmt: skip
    seen = labelmap_of(view).seen(view)
    supervoxels, bodies = await view.run(_moved, seen)
    if query.format == "binary":
        return Reply(content_type=OCTETS, stream=_pairs(view, supervoxels, bodies), length=16 * len(supervoxels))
    return Reply(content_type="text/plain", stream=_lines(view, supervoxels, bodies))


def _moved(seen: Seen) -> tuple[Labels, Labels]:
    supervoxels, bodies = seen.entries()
    moved = supervoxels != bodies
    return supervoxels[moved], bodies[moved]


async def _pairs(view: View, supervoxels: Labels, bodies: Labels) -> AsyncIterator[bytes]:
    for at in range(0, len(supervoxels), PAGE):
        page = slice(at, at + PAGE)
        yield np.stack((supervoxels[page], bodies[page]), axis=-1).astype("<u8").tobytes()


async def _lines(view: View, supervoxels: Labels, bodies: Labels) -> AsyncIterator[bytes]:
    for at in range(0, len(supervoxels), PAGE // 8):
        page = slice(at, at + PAGE // 8)
        yield await view.run(_text, supervoxels[page], bodies[page])


def _text(supervoxels: Labels, bodies: Labels) -> bytes:
    pairs = np.stack((supervoxels, bodies), axis=-1).reshape(-1).tolist()
    return (b"%d %d\n" * len(supervoxels)) % tuple(pairs)


async def post_mappings(view: View, request: Request) -> Reply:
    """Map supervoxels to bodies at this version; earlier entries of the same supervoxels are overridden.

    The body is a protobuf message; a supervoxel that is mapped to 0 is retired:

        message MappingOp  { uint64 mutid = 1; uint64 mapped = 2; repeated uint64 original = 3; }
        message MappingOps { repeated MappingOp mappings = 1; }

    Neither voxels nor indices nor the max label change: post the indices of the bodies as well.

        POST /api/node/3f8c/segmentation/mappings
    """
    data = await request.read(MESSAGE)
    supervoxels, bodies = await view.run(read_mappings, data)
    if len(supervoxels):
        await map_supervoxels(view, supervoxels, bodies)
    return EMPTY


async def map_supervoxels(view: View, supervoxels: Labels, bodies: Labels) -> None:
    """Map supervoxels in one commit, however many there are."""
    instance = labelmap_of(view)
    if len(supervoxels) <= IN_RECORD:

        async def change(m: Mutation) -> None:
            event = SupervoxelsMapped(m.id, pack_labels(supervoxels))
            m.record(payload={"map": pack_pairs(supervoxels, bodies)}, events=[event])

        await view.edit("mappings", change, with_id=True)
        return
    supervoxels, bodies = await view.run(ordered, supervoxels, bodies)
    staged = await view.stage(pieces(await view.run(pack_pairs, supervoxels, bodies)))
    drawn: list[int] = []

    async def change_many(m: Mutation) -> None:
        m.put(POSTED.key(m.id), staged)
        instance.state.incoming[m.id] = supervoxels, bodies
        drawn.append(m.id)
        m.record(payload={"posted": m.id}, events=[SupervoxelsMapped(m.id, b"")])

    try:
        await view.edit("mappings", change_many, with_id=True)
    except BaseException:
        if not drawn or drawn[0] in instance.state.incoming:
            await view.discard(staged)
        raise
    finally:
        for number in drawn:
            instance.state.incoming.pop(number, None)


async def get_supervoxel_splits(view: View) -> Reply:
    """All splits of supervoxels up to this version: ["<uuid>", [[mutation id, old, remain, split], ...], ...].

    The nearest version comes first; versions without splits are left out.
    """
    out: list[object] = []
    instance = labelmap_of(view)
    nodes = instance.repo.dag.nodes
    for version, splits in instance.state.splits_of(instance.order(view.version)):
        node = nodes.get(version) or instance.repo.dag.root
        out += [node.uuid, splits]
    return Reply.json(out)


async def get_map_stats(view: View) -> Reply:
    """What the mappings of all labelmaps of the server take: {<name>: {"MapEntries", "MapSize", ...}}."""
    out: dict[str, Any] = {}
    for repo in view.instance.server.repos.by_id.values():
        for name, instance in repo.instances.items():
            if type(instance) is type(view.instance):
                mapping = instance.state.mapping  # type: ignore[attr-defined]
                out[name] = {
                    "MapEntries": mapping.count,
                    "MapSize": _size(mapping.nbytes),
                    "NumVersions": len(mapping.versions),
                    "MaxVersion": max(mapping.versions, default=0),
                }
    return Reply.json(out)


def _size(nbytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 10 else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} GB"


ROUTES = (
    get("mapping", get_mapping, query=MappingQuery),
    get("mappings", get_mappings, query=MappingsQuery),
    post("mappings", post_mappings),
    get("supervoxel-splits", get_supervoxel_splits),
    get("map-stats", get_map_stats),
)
