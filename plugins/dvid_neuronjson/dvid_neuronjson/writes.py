"""Handlers that write annotations and schemas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from dvid_messages import parse
from dvid_messages.keyvalues import KeyValues

from dvid_core import (
    EMPTY,
    JSON,
    About,
    BadRequest,
    Flag,
    Mutation,
    Reply,
    Request,
    Route,
    View,
    delete,
    get,
    head,
    post,
)  # fmt: skip

from .editing import remove, write
from .keys import EDITOR_SCHEMAS, JSON_SCHEMA, SCHEMA, Key, body_key
from .pace import Pace
from .reading import neurons
from .schemas import Validator, read_schema
from .writing import Manner, Sent, check, read_object

ONE_LIMIT = 4 << 20
MANY_LIMIT = 64 << 20
SCHEMA_LIMIT = 8 << 20


class WriteQuery(msgspec.Struct, frozen=True):
    """How an object is merged into the annotation that is there."""

    replace: Annotated[Flag, About("`true`: fields that are not sent are dropped")] = False
    conditional: Annotated[
        str, About("names separated by commas: fields that are written only where they are not set yet")
    ] = ""
    conditionals: Annotated[str, About("an older name of conditional")] = ""

    def manner(self, view: View) -> Manner:
        """How to merge.  Raises `BadRequest` when nobody says who writes."""
        names = self.conditional or self.conditionals
        return Manner(writer(view), self.replace, frozenset(names.split(",")) if names else frozenset())


def writer(view: View) -> str:
    """The user of the request.  Raises `BadRequest` when there is none."""
    if not view.caller.user:
        raise BadRequest("u: annotations are signed, so the option u=<user> is needed")
    return view.caller.user


async def validator(view: View) -> Validator | None:
    """What the JSON schema of this version demands; None when it has none."""
    text = await view.get(SCHEMA.key(JSON_SCHEMA))
    return neurons(view).validator(text) if text else None


def checked(rules: Validator | None, body: int, data: bytes, what: str) -> Sent:
    """A posted object when it may be written.  Raises `BadRequest`."""
    found = read_object(data, what)
    if rules is not None:
        found = rules.check(found)
    return check(body, found, len(data))


async def post_key(view: View, request: Request, key: Key, query: WriteQuery) -> Reply:
    """Set fields of the annotation of a body: the body is a JSON object with `bodyid` and the fields to set.

    Fields that are not sent stay as they are, unless `replace=true`. A field that is sent as null is removed. For each
    field that changes, X_user becomes the user of `u=` and X_time now, unless they are sent along; sending an equal
    value changes neither.

        POST /api/node/3f8c/neurons/key/189323?u=ann       with the body {"bodyid": 189323, "type": "KC", "group": null}
        POST /api/node/3f8c/neurons/key/189323?u=ann&conditional=type
    """
    manner = query.manner(view)
    if isinstance(key, str):
        await put_schema(view, key, await request.read(SCHEMA_LIMIT))
        return EMPTY
    data = await request.read(ONE_LIMIT)
    await write(view, [checked(await validator(view), key, data, "the body")], manner, "postneuronjson")
    return EMPTY


async def delete_key(view: View, key: Key) -> Reply:
    """Remove the annotation of a body from this version on. No error when it has none.

        DELETE /api/node/3f8c/neurons/key/189323
    """  # fmt: skip
    if isinstance(key, str):
        await drop_schema(view, key)
    else:
        await remove(view, key)
    return EMPTY


async def post_keyvalues(view: View, request: Request, query: WriteQuery) -> Reply:
    """Write many annotations, each as by POST key and in this order, all or none: the body is a protobuf KeyValues
    message.

        POST /api/node/3f8c/neurons/keyvalues?u=ann
    """  # fmt: skip
    manner = query.manner(view)
    message = parse(KeyValues, await request.read(MANY_LIMIT))
    rules = await validator(view)
    sent: list[Sent] = []
    schemas: list[tuple[str, bytes]] = []
    pace = Pace()
    for pair in message.kvs:
        if pair.key in EDITOR_SCHEMAS:
            schemas.append((pair.key, pair.value))
            continue
        sent.append(checked(rules, body_key(pair.key), pair.value, f"the value of key {pair.key}"))
        await pace.step()

    def also(m: Mutation) -> None:
        for name, text in schemas:
            _stage_schema(m, name, text)

    if sent or schemas:
        await write(view, sent, manner, "ingestneuronjson", also)
    return EMPTY


# -- schemas


async def put_schema(view: View, name: str, text: bytes) -> None:
    """Store one of the three schemas."""

    async def change(m: Mutation) -> None:
        _stage_schema(m, name, text)

    await view.edit("post", change)


def _stage_schema(m: Mutation, name: str, text: bytes) -> None:
    m.put(SCHEMA.key(name), text)
    m.record({"Action": "post", "Key": name, "Bytes": len(text)})


async def drop_schema(view: View, name: str) -> None:
    """Remove one of the three schemas."""

    async def change(m: Mutation) -> None:
        m.delete(SCHEMA.key(name))
        m.record({"Action": "delete", "Key": name})

    await view.edit("delete", change)


ABOUT = {
    "schema": "the schema that annotation editors show",
    "schema_batch": "the schema that annotation editors show for many bodies",
    "json_schema": "the JSON schema that each object must satisfy as it is posted",
}

CHECKED = """\
An object is checked as it is sent, not as it is merged: `required` holds for each post, and null must be allowed where
a field may be removed. Texts of digits become integers where the schema wants integers. What is there already is not
checked. Drafts 4 to 2020-12 by `$schema`; a schema refers to nothing outside itself, nor to itself in a circle. What is
no valid schema is refused."""


def schema_routes(name: str) -> tuple[Route, ...]:
    """The routes of one schema."""
    about, url = ABOUT[name], f"/api/node/3f8c/neurons/{name}"
    is_checked = name == JSON_SCHEMA

    async def get_schema(view: View) -> Reply:
        text = await view.get(SCHEMA.key(name))
        return Reply(b"", None, status=404) if text is None else Reply(text, JSON)

    async def head_schema(view: View) -> Reply:
        return Reply(b"", JSON, status=404 if await view.open(SCHEMA.key(name)) is None else 200)

    async def post_schema(view: View, request: Request) -> Reply:
        text = await request.read(SCHEMA_LIMIT)
        if is_checked:
            await view.run(read_schema, text)
        await put_schema(view, name, text)
        return EMPTY

    async def delete_schema(view: View) -> Reply:
        await drop_schema(view, name)
        return EMPTY

    posted = CHECKED if is_checked else "Any text is taken."
    _document(
        get_schema,
        f"The text of {about}, from this version or the nearest ancestor that has one; 404 without.",
        f"GET {url}",
    )
    _document(head_schema, f"200 when there is {about}, else 404.", f"HEAD {url}")
    _document(post_schema, f"Set {about}, for this version and those made from it.\n\n{posted}", f"POST {url}")
    _document(delete_schema, f"Remove {about}, from this version on.", f"DELETE {url}")
    return (get(name, get_schema), head(name, head_schema), post(name, post_schema), delete(name, delete_schema))


def _document(handler: Callable[..., Awaitable[Reply]], text: str, url: str) -> None:
    handler.__doc__ = f"{text}\n\n    {url}"
