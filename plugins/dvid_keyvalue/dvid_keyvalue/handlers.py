"""The endpoints of keyvalue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from dvid_core import (
    EMPTY,
    JSON,
    OCTETS,
    About,
    BadRequest,
    Flag,
    LazyNumber,
    NotFound,
    Reply,
    Request,
    Value,
    View,
    delete,
    get,
    head,
    post,
)  # fmt: skip

from .forms import Form, Item, check_json, reply, undisputed
from .keys import KEY, Key, keys_of
from .puts import SMALL, Puts, delete_one, put_one
from .ranges import header_range, option_range
from .uploads import read_pairs
from .wanted import read_wanted

ASKED_LIMIT = 16 << 20
"""Bytes of a list of keys."""


class KeyQuery(msgspec.Struct, frozen=True):
    """Which part of a value."""

    byte_start: Annotated[LazyNumber | None, About("first byte wanted, with byte_end")] = None
    byte_end: Annotated[LazyNumber | None, About("last byte wanted, itself included")] = None


class FormQuery(msgspec.Struct, frozen=True):
    """The form of several values; protobuf when none is asked for."""

    json: Annotated[Flag, About("`true`: a JSON object {key: value}, the values inserted as they are stored")] = False
    tar: Annotated[Flag, About("`true`: a tar with a file for each key")] = False
    jsontar: Annotated[Flag, About("`true`: the same as tar")] = False
    check: Annotated[Flag, About("`true`, with json: refuse when a value is no JSON")] = False

    def form(self) -> Form:
        """The one that is asked for."""
        if self.json and (self.tar or self.jsontar):
            raise BadRequest("json and tar cannot be asked for together")
        return "json" if self.json else "tar" if self.tar or self.jsontar else "protobuf"


RANGES = {"Accept-Ranges": "bytes"}


async def _find(view: View, key: str) -> Value:
    value = await view.open(KEY.key(key))
    if value is None:
        raise NotFound(f"key {key!r} not found")
    return value


async def get_key(view: View, request: Request, key: Key, query: KeyQuery) -> Reply:
    """The value of a key, as it was sent.

    A part of it comes by the Range header (status 206) or by byte_start and byte_end, both of which are inside the
    part (status 200). 404 when the key is not there.

        GET /api/node/3f8c/meshes/key/17.ngmesh
        GET /api/node/3f8c/meshes/key/17.ngmesh?byte_start=0&byte_end=3
    """
    value = await _find(view, key)
    wanted = request.headers.get("Range")
    part = None
    if query.byte_start is not None or query.byte_end is not None:
        if wanted is not None:
            raise BadRequest("give either a Range header or byte_start and byte_end, not both")
        part = option_range(query.byte_start, query.byte_end, value.size)
    elif wanted is not None and (part := header_range(wanted, value.size)) is not None:
        headers = {**RANGES, "Content-Range": f"bytes {part[0]}-{part[1] - 1}/{value.size}"}
        return _value_reply(value, part, 206, headers)
    return _value_reply(value, part, 200, RANGES)


def _value_reply(value: Value, part: tuple[int, int] | None, status: int, headers: dict[str, str]) -> Reply:
    start, stop = part if part is not None else (0, value.size)
    if (data := value.inline) is not None:
        return Reply(data if part is None else data[start:stop], OCTETS, status=status, headers=headers)
    return Reply(
        content_type=OCTETS, status=status, headers=headers, stream=value.chunks(start, stop), length=stop - start
    )


async def head_key(view: View, key: Key) -> Reply:
    """200 with the length when the key is there, else 404."""
    value = await _find(view, key)
    return Reply(b"", OCTETS, headers={**RANGES, "Content-Length": str(value.size)})


async def post_key(view: View, request: Request, key: Key) -> Reply:
    """Put the body, of any size, under a key; it replaces what was there.

    The bytes are kept as they come, whatever Content-Type and Content-Encoding say.

        POST /api/node/3f8c/meshes/key/17.ngmesh
    """
    length = request.body.length
    small = length is not None and length <= SMALL
    await put_one(view, key, await request.read(SMALL) if small else await view.stage(request.chunks()))
    return EMPTY


async def delete_key(view: View, key: Key) -> Reply:
    """Remove a key from this version on; older versions keep it. No error when it is not there.

        DELETE /api/node/3f8c/meshes/key/17.ngmesh
    """  # fmt: skip
    await delete_one(view, key)
    return EMPTY


async def _key_list(view: View, start: bytes, stop: bytes) -> AsyncIterator[bytes]:
    sign = b"["
    async for page in view.scan_keys(start, stop):
        yield sign + msgspec.json.encode(keys_of(page))[1:-1]
        sign = b","
    yield b"]" if sign == b"," else b"[]"


async def get_keys(view: View) -> Reply:
    """All keys of this version as a JSON list, in the order of their UTF-8 bytes.

        GET /api/node/3f8c/meshes/keys
    """  # fmt: skip
    return Reply(content_type=JSON, stream=_key_list(view, *KEY.all()))


async def get_keyrange(view: View, first: Key, last: Key) -> Reply:
    """The keys from <first> to <last> as a JSON list; both are inside, and need not exist.

        GET /api/node/3f8c/meshes/keyrange/17/17.ngmesh
    """  # fmt: skip
    return Reply(content_type=JSON, stream=_key_list(view, *KEY.range(first, last)))


async def get_keyrangevalues(view: View, first: Key, last: Key, query: FormQuery) -> Reply:
    """The keys from <first> to <last>, both inside, and their values.

    Without an option the reply is a protobuf message:

        message KeyValue  { string key = 1; bytes value = 2; }
        message KeyValues { repeated KeyValue kvs = 1; }

    With json=true it is a JSON object, whose values are the stored bytes as they are, and {} where there are none: it
    is valid JSON when they all are, which check=true demands. With tar=true it is a tar with a file for each key.

        GET /api/node/3f8c/meshes/keyrangevalues/17/18?tar=true
    """
    form = query.form()
    start, stop = KEY.range(first, last)
    if query.check and form == "json":
        await check_json(_range_items(view, start, stop))
    return reply(_range_items(view, start, stop), form, distinct=True)


async def _range_items(view: View, start: bytes, stop: bytes) -> AsyncIterator[list[Item]]:
    async for page in view.scan(start, stop):
        keys = keys_of([t for t, _ in page])
        yield [(key, undisputed(view, t, v), None) for key, (t, v) in zip(keys, page)]


async def get_keyvalues(view: View, request: Request, query: FormQuery) -> Reply:
    """The values of the keys that the body names, in that order; absent keys have empty values ({} in JSON).

    The body is a protobuf message, and so is the reply (see keyrangevalues):

        message KeyRange { string key = 1; uint64 byte_start = 2; uint64 byte_end = 3; }    // both ends inside
        message Keys     { repeated string keys = 1; repeated KeyRange key_ranges = 2; }

    With json=true or tar=true the body is JSON: a list of keys, or of objects {"key", "byte_start", "byte_end"} for
    parts of values. The replies are those of keyrangevalues; a key that is asked for twice is in the JSON once.

        GET /api/node/3f8c/meshes/keyvalues?json=true     with the body  ["17", "18"]
    """
    form = query.form()
    wanted = read_wanted(await request.read(ASKED_LIMIT), form)
    # Whatever can be wrong is found before anything is sent.
    if form == "json":
        await check_json(wanted.items(view, only_parts=not query.check))
    else:
        async for _ in wanted.items(view, only_parts=True):
            pass
    return reply(wanted.items(view), form)


async def post_keyvalues(view: View, request: Request) -> Reply:
    """Put many pairs, all or none; of a key that comes twice the last value counts.

    The body is a protobuf KeyValues message (see keyrangevalues) of any size. Since all is written at once, it may
    have about 100,000 pairs, and 48 MiB in values of up to 64 KiB; larger ones do not count.

        POST /api/node/3f8c/meshes/keyvalues
    """
    async with Puts(view) as puts:
        async for key, value in read_pairs(request.chunks()):
            await puts.add(key, value)
        await puts.commit()
    return EMPTY


ROUTES = (
    get("key/{key}", get_key, query=KeyQuery),
    head("key/{key}", head_key),
    post("key/{key}", post_key),
    delete("key/{key}", delete_key),
    get("keys", get_keys),
    get("keyrange/{first}/{last}", get_keyrange),
    get("keyrangevalues/{first}/{last}", get_keyrangevalues, query=FormQuery),
    get("keyvalues", get_keyvalues, query=FormQuery),
    post("keyvalues", post_keyvalues),
)
