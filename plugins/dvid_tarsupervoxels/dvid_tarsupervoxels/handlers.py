"""The endpoints of tarsupervoxels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import numpy as np

from dvid_core import (
    EMPTY,
    JSON,
    OCTETS,
    About,
    BadRequest,
    NotFound,
    Reply,
    Request,
    View,
    delete,
    get,
    head,
    post,
)  # fmt: skip
from dvid_voxels.segmentation.asking import parse_labels, read_list

from .bodies import supervoxels_of
from .files import SMALL, Files, Labels, set_extension
from .keys import Label
from .loads import store
from .settings import checked_extension
from .tars import tar_of
from .uploads import Upload, read_contents

if TYPE_CHECKING:
    from .tarsupervoxels import TarSupervoxels


class ExistsQuery(msgspec.Struct, frozen=True):
    """How a list is checked."""

    hash: Annotated[str, About("the MD5 of the body in hex; another body is refused")] = ""


async def get_supervoxel(view: View, supervoxel: Label) -> Reply:
    """The file of a supervoxel, as it was sent; 404 when there is none.

        GET /api/node/3f8c/meshes/supervoxel/18473948
    """  # fmt: skip
    value = await (await Files.of(view)).find(supervoxel)
    if value is None:
        raise NotFound(f"supervoxel {supervoxel} not found: it has no file here")
    if (data := value.inline) is not None:
        return Reply(data, OCTETS)
    return Reply(content_type=OCTETS, stream=value.chunks(), length=value.size)


async def post_supervoxel(view: View, request: Request, supervoxel: Label) -> Reply:
    """Put the body, of any size, as the file of a supervoxel; it replaces the one that was there.

        POST /api/node/3f8c/meshes/supervoxel/18473948
    """  # fmt: skip
    files = await Files.of(view)
    length = request.body.length
    if length is not None and length <= SMALL:
        await files.put_one(supervoxel, await request.read(SMALL))
    else:
        await files.put_one(supervoxel, await files.view.stage(request.chunks()))
    return EMPTY


async def delete_supervoxel(view: View, supervoxel: Label) -> Reply:
    """Remove the file of a supervoxel; no error when there is none.

        DELETE /api/node/3f8c/meshes/supervoxel/18473948
    """  # fmt: skip
    await (await Files.of(view)).delete_one(supervoxel)
    return EMPTY


async def post_load(view: View, request: Request) -> Reply:
    """Put the files of a tar, one for each supervoxel: the body is the tar, of any size, without compression.

    Each file is named <supervoxel>.<extension>, with the extension of the instance, and without folders. All of them
    are stored, or none: a tar that is cut off, files with other names, links, folders, and two files of one supervoxel
    are refused. One tar may have a million files, of which 20,000 may have more than 64 KiB.

        tar c *.drc | curl --data-binary @- $SERVER/api/node/3f8c/meshes/load
    """
    files = await Files.of(view)
    with Upload(view) as upload:
        await upload.fill(request)
        try:
            contents = await read_contents(view, upload, files.extension)
            pack = await store(files, upload, contents) if len(contents) else None
        except BadRequest as err:
            raise BadRequest(f"{err}; nothing was stored") from None
    if pack is not None:
        await cast("TarSupervoxels", view.instance).settle(pack)
    return EMPTY


async def get_exists(view: View, request: Request, query: ExistsQuery) -> Reply:
    """Which supervoxels have a file: the body is a JSON list of ids, the reply a list of true and false in its order.

        GET /api/node/3f8c/meshes/exists     with the body  [18473948, 18473949]
    """  # fmt: skip
    data = await read_list(request, query.hash)
    labels = np.empty(0, np.uint64) if data.strip() == b"null" else await _parsed(view, data)
    found = await (await Files.of(view)).exist(labels)
    return Reply.json(found.tolist())


async def _parsed(view: View, data: bytes) -> Labels:
    return parse_labels(data) if len(data) <= 1 << 16 else await view.run(parse_labels, data)


async def get_missing(view: View, request: Request, label: Label) -> Reply:
    """The supervoxels of a body that have no file, as a JSON list; [] when all have one.

    The body is that of the synced labelmap at the version asked for.

        GET /api/node/3f8c/meshes/missing/18473948
    """
    supervoxels = await supervoxels_of(view, request, label)
    return Reply(content_type=JSON, stream=_missing(await Files.of(view), supervoxels))


async def _missing(files: Files, supervoxels: Labels) -> AsyncIterator[bytes]:
    sign = b"["
    for at in range(0, len(supervoxels), 1 << 16):
        some = supervoxels[at : at + (1 << 16)]
        absent = some[~await files.exist(some)]
        if len(absent):
            yield sign + msgspec.json.encode(absent.tolist())[1:-1]
            sign = b","
    yield b"]" if sign == b"," else b"[]"


async def get_tarfile(view: View, request: Request, label: Label) -> Reply:
    """The files of all supervoxels of a body as a tar.

    It has <supervoxel>.<extension> for each supervoxel with a file, and an empty <supervoxel>.missing for each
    without. The body is that of the synced labelmap at the version asked for. 400 when there is no such body, or when
    nothing is synced.

        GET /api/node/3f8c/meshes/tarfile/18473948
    """
    supervoxels = await supervoxels_of(view, request, label)
    return Reply(content_type="application/tar", stream=tar_of(await Files.of(view), supervoxels))


async def head_tarfile(view: View, request: Request, label: Label) -> Reply:
    """200 when all supervoxels of a body have a file, else 400.

        HEAD /api/node/3f8c/meshes/tarfile/18473948
    """  # fmt: skip
    supervoxels = await supervoxels_of(view, request, label)
    files = await Files.of(view)
    for at in range(0, len(supervoxels), 1 << 14):
        if not (await files.exist(supervoxels[at : at + (1 << 14)])).all():
            raise BadRequest(f"label {label}: not all of its supervoxels have a file")
    return Reply(b"", "application/tar")


async def post_info(view: View, request: Request) -> Reply:
    """Use another extension: {"Extension": "ngmesh"}.

    Files belong to the extension that they were stored with: they are not found after a change, and found again when
    it is changed back.

        POST /api/node/3f8c/meshes/info     with the body  {"Extension": "ngmesh"}
    """
    wanted = {k.lower(): v for k, v in (await request.json_object()).items()}.get("extension")
    if not isinstance(wanted, str):
        raise BadRequest('Extension: expected {"Extension": "<text>"}')
    try:
        extension = checked_extension(wanted)
    except ValueError as err:
        raise BadRequest(str(err)) from None
    await set_extension(view, extension)
    return Reply.text(f"Extension of {view.instance.name} set to {extension}\n")


ROUTES = (
    get("supervoxel/{supervoxel}", get_supervoxel),
    post("supervoxel/{supervoxel}", post_supervoxel),
    delete("supervoxel/{supervoxel}", delete_supervoxel),
    post("load", post_load),
    get("exists", get_exists, query=ExistsQuery),
    get("missing/{label}", get_missing),
    get("tarfile/{label}", get_tarfile),
    head("tarfile/{label}", head_tarfile),
    post("info", post_info),
)
