"""The endpoints that merge and split bodies of volumes whose voxels hold bodies."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import EMPTY, About, BadRequest, Mutation, Reply, Request, Uint64, View, post

from .. import labels
from ..geometry import Triple
from ..labels.runs import Runs
from .asking import check_body, check_indexed, parse_labels
from .packing import Keys, check_reach, pack_blocks
from .relabeling import Relabel, relabel
from .sparse import Place, find_place, triples

MERGED = 10_000
"""Labels of one merge."""

MERGE_BYTES = 1 << 20

SPLIT_BYTES = 64 << 20
"""Bytes of a posted sparse volume: 4 million runs."""

COARSE_BYTES = 16 << 20


class SplitQuery(msgspec.Struct, frozen=True):
    """Options of split and split-coarse."""

    splitlabel: Annotated[
        Uint64 | None, About("the label that the voxels get; without it one that nobody has, the largest of all + 1")
    ] = None


async def post_merge(view: View, request: Request) -> Reply:
    """Merge labels: the body is a JSON list [<target>, <label>, ...]. Their voxels get the label <target>.

    Labels without voxels are ignored; the target need not have any. All of it happens at once, before the reply.

        POST /api/node/3f8c/bodies/merge     with the body  [23, 41, 42]
    """
    check_indexed(view)
    given = parse_labels(await request.read(MERGE_BYTES)).tolist()
    if len(given) < 2:
        raise BadRequest(f"a merge takes at least two labels, [<target>, <label>, ...], got {len(given)}")
    target, *merged = given
    if not all(given):
        raise BadRequest("label 0 is the background and cannot be merged")
    if target in merged:
        raise BadRequest(f"label {target} cannot be merged with itself")
    merged = list(dict.fromkeys(merged))
    if len(merged) > MERGED:
        raise BadRequest(f"{len(merged)} labels are to be merged; one request can merge {MERGED}")
    entry = {"Action": "merge", "Target": target, "Labels": merged}
    await relabel(view, Relabel("merge", tuple(merged), target, lambda found: found), entry=lambda _: entry)
    return EMPTY


async def post_split(view: View, request: Request, label: Uint64, query: SplitQuery) -> Reply:
    """Split voxels off a label: the body is a sparse volume, as GET sparsevol sends it, of voxels of <label>.

    All of them must be the label's, else nothing changes. The label may be split off as a whole.

        POST /api/node/3f8c/bodies/split/23
        {"label": 104}
    """
    place = await _place_of(view, label, query)
    data = await request.read(SPLIT_BYTES)
    instance = check_indexed(view)
    at, pieces = await view.run(_cut, data, place.voxels, instance.settings.block)
    choose = partial(_among, at, f"has no voxel of label {label}")
    staged = None
    if instance.relabel_rules.kept is not None:
        staged = await view.stage(_pieces(await view.run(pack_runs, data)))
    try:
        new = await _split(view, "split", label, query, choose, pieces, _keeping(view, staged))
    finally:
        if staged is not None:
            await view.discard(staged)
    return Reply.json({"label": new})


async def post_split_coarse(view: View, request: Request, label: Uint64, query: SplitQuery) -> Reply:
    """Split all voxels of a label in some blocks off: the body is a sparse volume in block coordinates.

    Each block must have voxels of the label, else nothing changes.

        POST /api/node/3f8c/bodies/split-coarse/23
        {"label": 104}
    """
    place = await _place_of(view, label, query)
    wanted = await view.run(named_blocks, await request.read(COARSE_BYTES), len(place.blocks))
    choose = partial(_among, wanted, f"has no voxel of label {label}")
    return Reply.json({"label": await _split(view, "splitcoarse", label, query, choose)})


async def _place_of(view: View, label: int, query: SplitQuery) -> Place:
    check_indexed(view)
    check_body(label)
    if query.splitlabel == 0:
        raise BadRequest("splitlabel: 0 is the background")
    if query.splitlabel == label:
        raise BadRequest(f"splitlabel: label {label} cannot be split off itself")
    await check_indexed(view).caught_up(view)
    place = await find_place(view, label, supervoxel=False, limits=None)
    if place is None:
        raise BadRequest(f"label: there is no voxel of label {label}")
    return place


async def _split(
    view: View,
    op: str,
    label: int,
    query: SplitQuery,
    choose: Callable[[Keys], Keys],
    pieces: list[Runs] | None = None,
    also: Callable[[Mutation], None] | None = None,
) -> int:
    def entry(new: int) -> dict[str, Any]:
        return {"Action": op, "Target": label, "NewLabel": new}

    return (await relabel(view, Relabel(op, (label,), query.splitlabel, choose, pieces), entry=entry, also=also)).new


def _cut(data: bytes, voxels: int, block: Triple) -> tuple[Keys, list[Runs]]:
    """A kernel: posted runs by block.  Raises `BadRequest`."""
    try:
        found = labels.parse_runs(data)
        labels.fit_runs(found, voxels)
    except labels.BadRuns as err:
        raise BadRequest(str(err)) from None
    if not len(found):
        raise BadRequest("the sparse volume has no runs")
    at, starts, pieces = labels.runs_by_block(found, block)
    ends = starts.tolist()
    check_reach([(z, y, x) for z, y, x in (at.min(axis=0).tolist(), at.max(axis=0).tolist())])
    return pack_blocks(at), [pieces[a:b] for a, b in itertools.pairwise(ends)]


def named_blocks(data: bytes, most: int | None = None) -> Keys:
    """A kernel: the blocks of a posted sparse volume in block coordinates, packed, ascending; at most so many.

    Raises `BadRequest`.
    """
    try:
        found = labels.parse_runs(data)
        if most is not None:
            labels.fit_runs(found, most)
    except labels.BadRuns as err:
        raise BadRequest(str(err)) from None
    if not len(found):
        raise BadRequest("the sparse volume has no runs")
    x, y, z, n = found.astype(np.int64).T
    check_reach([(int(z.min()), int(y.min()), int(x.min())), (int(z.max()), int(y.max()), int((x + n - 1).max()))])
    row = np.repeat(np.arange(len(found)), n)
    along = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    return np.unique(pack_blocks(np.stack([z[row], y[row], x[row] + along], axis=1)))


def _among(wanted: Keys, what: str, found: Keys) -> Keys:
    """The wanted blocks, if all of them were found."""
    missing = ~np.isin(wanted, found)
    if missing.any():
        z, y, x = triples(wanted[missing][:1])[0]
        raise BadRequest(f"block {x}, {y}, {z} {what}")
    return wanted


def _keeping(view: View, staged: Any) -> Callable[[Mutation], None] | None:
    kept = check_indexed(view).relabel_rules.kept
    return None if kept is None else lambda m: m.put(kept.key(m.id), staged)


def pack_runs(data: bytes) -> bytes:
    """A kernel: the stored form of a posted sparse volume's runs."""
    return bytes(cramjam.lz4.compress_block(labels.parse_runs(data).tobytes(), store_size=True))


def unpack_runs(data: bytes) -> NDArray[np.int32]:
    """A kernel: runs from their stored form, (n, 4) of x, y, z, length."""
    return np.frombuffer(bytes(cramjam.lz4.decompress_block(data)), "<i4").reshape(-1, 4)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1 << 20):
        yield data[at : at + (1 << 20)]


ROUTES = (
    post("merge", post_merge),
    post("split/{label}", post_split, query=SplitQuery),
    post("split-coarse/{label}", post_split_coarse, query=SplitQuery),
)
