"""Importing a keyvalue instance, the form in which annotations were kept before there was neuronjson."""

from __future__ import annotations

from typing import Any

from dvid_core import BadRequest, Reply, View

from .editing import write
from .imports import BATCH
from .keys import EDITOR_SCHEMAS, JSON_SCHEMA, parse_body
from .pace import Pace
from .peers import KeyValuePairs
from .schemas import read_schema
from .writes import put_schema
from .writing import Manner, Sent, check, read_object

NAMED = 100
"""Keys that the reply names among those left out."""


async def post_import_keyvalue(view: View, name: str) -> Reply:
    """Copy the keyvalue instance <name> of this repo, as it is seen from this version.

    Keys that are body ids become annotations: the values, JSON objects, are taken as they are, in place of what is
    there, without X_user and X_time of their own; `bodyid` is set to the key. The keys `schema`, `schema_batch` and
    `json_schema` become the schemas. Other keys, and values that are no JSON objects, are left out and named in the
    reply: {"annotations": <number>, "changed": <number>, "schemas": [<name>], "left out": {<key>: <reason>}, "left out
    in all": <number>}.

        POST /api/node/3f8c/neurons/import-keyvalue/old_annotations
    """
    source = await view.peer(name, KeyValuePairs)
    manner = Manner(view.caller.user, replace=True, bare=True)
    left_out: dict[str, str] = {}
    schemas: list[str] = []
    annotations = changed = missing = 0
    batch: list[Sent] = []
    pace = Pace()
    async for page in source.pairs():
        for key, value in page:
            await pace.step()
            try:
                if key in EDITOR_SCHEMAS or key == JSON_SCHEMA:
                    if key == JSON_SCHEMA:
                        await view.run(read_schema, value)
                    await put_schema(view, key, value)
                    schemas.append(key)
                else:
                    batch.append(_annotation(key, value))
            except (BadRequest, ValueError) as err:
                missing += 1
                if len(left_out) < NAMED:
                    left_out[key] = str(err)
        while len(batch) >= BATCH:
            changed += await write(view, batch[:BATCH], manner, "importneuronjson")
            annotations += BATCH
            del batch[:BATCH]
    if batch:
        changed += await write(view, batch, manner, "importneuronjson")
        annotations += len(batch)
    told: dict[str, Any] = {"annotations": annotations, "changed": changed, "schemas": schemas}
    return Reply.json(told | {"left out": left_out, "left out in all": missing})


def _annotation(key: str, value: bytes) -> Sent:
    body = parse_body(key)
    found = read_object(value, "the value")
    return check(body, {**found, "bodyid": body}, len(value))
