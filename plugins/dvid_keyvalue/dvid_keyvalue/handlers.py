"""The endpoints of keyvalue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec

from dvid_core import (
    EMPTY, JSON, OCTETS, About, BadRequest, Disputed, Flag, LazyNumber, Mutation, NotFound, Reply, Request, Staged,
    Value, View, delete, get, head, parse_json, post,
)  # fmt: skip

from .forms import ByteRange, Form, Item, check_json, reply
from .keys import KEY, Key, check_key, keys_of
from .messages import Keys, KeyValues, parse
from .ranges import checked_range, header_range, option_range

SMALL = 64 << 10
MANY = 256
"""How many values are looked up at a time."""
POST_LIMIT = 256 << 20
"""Bytes of one `POST keyvalues`, which is all or nothing."""


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
    """Put the body, of any size, under a key.

        POST /api/node/3f8c/meshes/key/17.ngmesh
    """  # fmt: skip
    length = request.body.length
    value: bytes | Staged
    if length is not None and length <= SMALL:
        value = await request.read(SMALL)
    else:
        value = await view.stage(request.chunks())
    await _put(view, "postkv", [(key, value)])
    return EMPTY


async def _put(view: View, op: str, pairs: Sequence[tuple[str, bytes | Staged]]) -> None:
    async def change(m: Mutation) -> None:
        for key, value in pairs:
            m.put(KEY.key(key), value)
            size = value.size if isinstance(value, Staged) else len(value)
            m.record({"Action": "postkv", "Key": key, "Bytes": size})

    try:
        await view.edit(op, change)
    except BaseException:
        for _, value in pairs:
            await view.discard(value)
        raise


async def delete_key(view: View, key: Key) -> Reply:
    """Remove a key from this version on; older versions keep it. No error when it is not there."""

    async def change(m: Mutation) -> None:
        m.delete(KEY.key(key))
        m.record({"Action": "delete", "Key": key})

    await view.edit("delete", change)
    return EMPTY


async def _key_list(view: View, start: bytes, stop: bytes) -> AsyncIterator[bytes]:
    sign = b"["
    async for page in view.scan_keys(start, stop):
        yield sign + msgspec.json.encode(keys_of(page))[1:-1]
        sign = b","
    yield b"]" if sign == b"," else b"[]"


async def get_keys(view: View) -> Reply:
    """All keys of this version as a JSON list, in the order of their UTF-8 bytes."""
    return Reply(content_type=JSON, stream=_key_list(view, *KEY.all()))


async def get_keyrange(view: View, first: Key, last: Key) -> Reply:
    """The keys from <first> to <last> as a JSON list; both may be inside, and need not exist."""
    return Reply(content_type=JSON, stream=_key_list(view, *KEY.range(first, last)))


async def get_keyrangevalues(view: View, first: Key, last: Key, query: FormQuery) -> Reply:
    """The keys from <first> to <last> and their values, as protobuf KeyValues, JSON or tar."""
    form = query.form()
    start, stop = KEY.range(first, last)
    if query.check and form == "json":
        await check_json(_range_items(view, start, stop))
    return reply(_range_items(view, start, stop), form)


async def _range_items(view: View, start: bytes, stop: bytes) -> AsyncIterator[list[Item]]:
    async for page in view.scan(start, stop):
        keys = keys_of([t for t, _ in page])
        yield [(key, _undisputed(view, t, v), None) for key, (t, v) in zip(keys, page)]


def _undisputed(view: View, tkey: bytes, found: Value | Disputed | None) -> Value | None:
    if isinstance(found, Disputed):
        raise view.conflict(tkey, found.versions)
    return found


async def get_keyvalues(view: View, request: Request, query: FormQuery) -> Reply:
    """The values of the keys that the body names, in that order.

    The body is a protobuf Keys message, or with json or tar a JSON list of keys or of objects
    {"key", "byte_start", "byte_end"}. Absent keys have empty values ({} in JSON).
    """
    form = query.form()
    wanted = _read_wanted(await request.read(64 << 20), form)
    # Whatever can be wrong is found before anything is sent.
    parts = [w for w in wanted if w[1] is not None]
    if form == "json":
        await check_json(_wanted_items(view, wanted if query.check else parts))
    elif parts:
        async for _ in _wanted_items(view, parts):
            pass
    return reply(_wanted_items(view, wanted), form)


def _read_wanted(data: bytes, form: Form) -> list[tuple[str, tuple[int, int] | None]]:
    if form == "protobuf":
        message = parse(Keys, data)
        wanted: list[tuple[str, tuple[int, int] | None]] = [(k, None) for k in message.keys]
        wanted += [(r.key, (r.byte_start, r.byte_end)) for r in message.key_ranges]
        return wanted
    body = parse_json(data, list[str | ByteRange] | None, "the list of keys") or []
    if len({type(k) for k in body}) > 1:
        raise BadRequest("the list of keys has both strings and objects; give one or the other")
    return [(k, None) if isinstance(k, str) else (k.key, k.bounds()) for k in body]


async def _wanted_items(view: View, wanted: Sequence[tuple[str, tuple[int, int] | None]]) -> AsyncIterator[list[Item]]:
    for at in range(0, len(wanted), MANY):
        some = wanted[at : at + MANY]
        tkeys = [KEY.key(k) for k, _ in some]
        page: list[Item] = []
        for (key, bounds), tkey, found in zip(some, tkeys, await view.find_many(tkeys)):
            value = _undisputed(view, tkey, found)
            part = checked_range(*bounds, value.size) if bounds is not None and value is not None else None
            page.append((key, value, part))
        yield page


async def post_keyvalues(view: View, request: Request) -> Reply:
    """Put many pairs, all or none: the body is a protobuf KeyValues message; of one key the last value counts."""
    message = parse(KeyValues, await request.read(POST_LIMIT))
    for pair in message.kvs:
        try:
            check_key(pair.key)
        except ValueError as err:
            raise BadRequest(f"key {pair.key[:80]!r}: {err}") from None
    pairs: list[tuple[str, bytes | Staged]] = []
    last = {pair.key: i for i, pair in enumerate(message.kvs)}
    try:
        for i, pair in enumerate(message.kvs):
            if len(pair.value) <= SMALL:
                pairs.append((pair.key, pair.value))
            elif last[pair.key] == i:
                pairs.append((pair.key, await view.stage(_once(pair.value))))
    except BaseException:
        for _, value in pairs:
            await view.discard(value)
        raise
    if pairs:
        await _put(view, "postkv", pairs)
    return EMPTY


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


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
