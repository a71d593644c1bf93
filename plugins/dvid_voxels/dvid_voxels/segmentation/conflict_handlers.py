"""The endpoint that lists what parents of a merge disagree about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from dvid_core import JSON, Disputed, KeyClass, Reply, View, get

from .asking import instance_of
from .keys import BLOCK, BODY
from .merging import may_dispute


async def get_conflicts(view: View) -> Reply:
    """What the parents of a merge disagree about, where nothing was written since.

    A block, an index or the body of a supervoxel is listed when both sides changed it after the version that they have
    in common.  Reads of one of these are answered with status 409, reads of many take what the first parent has.
    Writing it at this version settles it; `resolve` settles all at once.  All blocks of the version are looked at.

        GET /api/node/3f8c/segmentation/conflicts
        {"blocks": [{"scale": 0, "block": [10, 20, 30], "versions": ["<uuid>", "<uuid>"]}],
         "indices": [{"body": 23, "versions": ["<uuid>", "<uuid>"]}],
         "supervoxels": [{"supervoxel": 24, "versions": ["<uuid>", "<uuid>"]}]}
    """
    return Reply(content_type=JSON, stream=_listed(view))


async def _listed(view: View) -> AsyncIterator[bytes]:
    yield b'{"blocks":['
    async for part in _joined(_disputed(view, BLOCK)):
        yield part
    yield b'],"indices":['
    async for part in _joined(_disputed(view, BODY)):
        yield part
    yield b'],"supervoxels":['
    async for part in _joined(_mapping(view)):
        yield part
    yield b"]}"


async def _disputed(view: View, key: KeyClass) -> AsyncIterator[dict[str, Any]]:
    if not may_dispute(view, key.number):
        return
    async for page in view.scan(*key.all()):
        for tkey, found in page:
            if isinstance(found, Disputed):
                yield _named(key, tkey) | {"versions": uuids(view, found.versions)}


def _named(key: KeyClass, tkey: bytes) -> dict[str, Any]:
    if key is BODY:
        return {"body": key.unpack(tkey)[0]}
    scale, (z, y, x) = key.unpack(tkey)
    return {"scale": scale, "block": [x, y, z]}


async def _mapping(view: View) -> AsyncIterator[dict[str, Any]]:
    for supervoxel, versions in await instance_of(view).disputed_mapping(view):
        yield {"supervoxel": supervoxel, "versions": uuids(view, versions)}


def uuids(view: View, versions: Iterable[int]) -> list[str]:
    """The names of versions."""
    nodes = view.instance.repo.dag.nodes
    return [nodes[v].uuid for v in versions]


async def _joined(items: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    sign = b""
    async for item in items:
        yield sign + msgspec.json.encode(item)
        sign = b","


ROUTES = (get("conflicts", get_conflicts),)
