"""Routes that every data instance inherits: info, help, tags, sync, mutations, blobstore."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

import msgspec

from ..blobs import blob_reference, decode_reference
from ..dag import Node
from ..errors import BadRequest, NotFound
from ..help import type_help
from ..keys import LOG_CLASS, blob_key
from ..mutlog import read_log
from ..requests import EMPTY, JSON, OCTETS, Reply, Request
from ..routes import About, Flag, Route, get, post
from ..server import Server
from ..storage.base import Batch
from ..view import View

BLOB_LIMIT = 8 << 20


class ReplaceQuery(msgspec.Struct, frozen=True):
    """Add or replace."""

    replace: Annotated[Flag, About("`true`: what is given replaces everything that was there")] = False


async def get_info(view: View) -> Reply:
    """What the instance is: type, settings, and what the type adds under "Extended"."""
    return Reply.json(await view.instance.full_info(view))


async def get_help(view: View) -> Reply:
    """The help of the instance's datatype."""
    return Reply.text(type_help(type(view.instance), ROUTES))


async def get_tags(view: View) -> Reply:
    """The tags of the instance: {"Tags": {<name>: <value>, ...}}. Tags have no versions."""
    return Reply.json({"Tags": view.instance.record.tags})


async def post_tags(server: Server, view: View, request: Request, query: ReplaceQuery) -> Reply:
    """Set tags: {<name>: <value>, ...}, strings; others stay unless `replace=true`."""
    body = await request.json_object(empty=True)
    for name, value in body.items():
        if not isinstance(value, str):
            raise BadRequest(f"{name}: the value of a tag must be a string, got {value!r:.80}")
    await server.repos.set_tags(view.instance, body, replace=query.replace)
    return EMPTY


async def post_sync(server: Server, view: View, request: Request, query: ReplaceQuery) -> Reply:
    """Follow other instances: {"sync": "<name>,<name>"}, added to those that are followed, or replacing them."""
    body = await request.json_object()
    names = body.get("sync")
    if not isinstance(names, str):
        raise BadRequest("sync: expected a string of instance names separated by commas")
    if not view.instance.handles:
        raise BadRequest(f"sync: a {view.instance.typename} follows no other instances")
    await server.sync(view.instance, [n for n in names.split(",") if n], replace=query.replace)
    return EMPTY


async def get_mutations(view: View) -> Reply:
    """The mutation log of this version, oldest first, as a JSON list."""
    return Reply(content_type=JSON, stream=_log_json(view, [view.node]))


async def get_mutations_range(server: Server, view: View, first: str, last: str) -> Reply:
    """The mutation logs from version <last> back along first parents to <first> (or the root).

    Versions come newest first, the mutations of one version oldest first.
    """
    nodes = []
    repos = [server.repos.find(first), server.repos.find(last)]
    if any(repo is not view.instance.repo for repo, _ in repos):
        raise BadRequest("mutations-range: both versions must be of the instance's repo")
    (_, begin), (repo, end) = repos
    for node in repo.dag.first_parents(end.version):
        nodes.append(node)
        if node is begin:
            break
    return Reply(content_type=JSON, stream=_log_json(view, nodes))


async def _log_json(view: View, nodes: Iterable[Node]) -> AsyncIterator[bytes]:
    instance = view.instance
    held, sign = bytearray(b"["), b""
    for node in nodes:
        version = node.version if instance.versioned else 0
        if not instance.has_written(LOG_CLASS, version):
            continue
        async for _, record in read_log(instance.store, instance.id, version):
            for entry in record.shown(node.uuid):
                held += sign + msgspec.json.encode(entry)
                sign = b","
            if len(held) > 1 << 16:
                yield bytes(held)
                held.clear()
        if not instance.versioned:
            break
    yield bytes(held) + b"]"


async def post_blob(view: View, request: Request) -> Reply:
    """Store the body by its content: replies {"reference": <ref>}. Blobs have no versions."""
    data = await request.read(BLOB_LIMIT)
    digest = await view.run(blob_reference, data)
    batch = Batch()
    batch.put(blob_key(digest), data)
    await view.instance.store.commit(batch)
    return Reply.json({"reference": base64.urlsafe_b64encode(digest).decode()})


async def get_blob(view: View, reference: str) -> Reply:
    """The blob that a POST replied <reference> for."""
    try:
        digest = decode_reference(reference)
    except (ValueError, binascii.Error):
        raise BadRequest(f"reference: expected URL-safe base64 of 16 bytes, got {reference[:40]!r}") from None
    data = await view.instance.store.get(blob_key(digest))
    if data is None:
        raise NotFound(f"blob {reference} not found")
    return Reply(data, OCTETS)


ROUTES: tuple[Route, ...] = (
    get("info", get_info),
    get("help", get_help),
    get("tags", get_tags),
    post("tags", post_tags, query=ReplaceQuery),
    post("sync", post_sync, query=ReplaceQuery),
    get("mutations", get_mutations),
    get("mutations-range/{first}/{last}", get_mutations_range),
    post("blobstore", post_blob, mutates=False),
    get("blobstore/{reference}", get_blob),
)
