"""Handlers that read annotations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from dvid_messages import parse
from dvid_messages.keyvalues import Keys

from dvid_core import JSON, About, BadRequest, Flag, NotFound, Reply, Request, View, parse_json

from .forms import FormQuery, Items, as_list, by_key
from .keys import EDITOR_SCHEMAS, SCHEMA, Bound, Key, body_key
from .pace import Pace
from .reading import find, find_many, pages, undisputed
from .selection import PORTION, Selection, Shown, is_bare

KEYS_LIMIT = 64 << 20


class FormAndShown(FormQuery, frozen=True):
    """The form of a reply, and what it shows of each annotation."""

    show: Annotated[str, About("`user`, `time` or `all`: as for `all`")] = ""
    fields: Annotated[str, About("names separated by commas: only these fields, and always bodyid")] = ""

    def selection(self) -> Selection:
        """The selection that is asked for."""
        return Shown(self.show, self.fields).selection()


# -- single annotations


async def get_key(view: View, key: Key, query: Shown) -> Reply:
    """The annotation of a body, a JSON object. 404 when it has none.

    `schema` and `schema_batch` are keys too: the texts of those endpoints.

        GET /api/node/3f8c/neurons/key/189323
        GET /api/node/3f8c/neurons/key/189323?show=all&fields=type,status
    """
    if isinstance(key, str):
        text = await view.get(SCHEMA.key(key))
        if text is None:
            raise NotFound(f"key {key!r} not found")
        return Reply(text, JSON)
    row = await find(view, key)
    if row is None:
        raise NotFound(f"key '{key}' not found: body {key} has no annotation here")
    return Reply(query.selection().one(row), JSON)


async def head_key(view: View, key: Key) -> Reply:
    """200 when the body has an annotation, else 404.

        HEAD /api/node/3f8c/neurons/key/189323
    """  # fmt: skip
    if isinstance(key, str):
        raise BadRequest(f"key: expected a body id, got {key!r}; HEAD {key} tells whether there is such a schema")
    return Reply(b"", JSON, status=404 if await find(view, key) is None else 200)


# -- lists of keys


async def _ids(view: View, first: int, last: int) -> AsyncIterator[list[bytes]]:
    pace = Pace()
    async for page in pages(view, first, last):
        yield [b'"%d"' % body for body in page.ids]
        await pace.step()


async def get_keys(view: View) -> Reply:
    """The ids of all annotated bodies as a JSON list of strings, ascending as numbers.

        GET /api/node/3f8c/neurons/keys
    """  # fmt: skip
    return await as_list(_ids(view, 0, 2**64 - 1))


async def get_keyrange(view: View, first: Bound, last: Bound) -> Reply:
    """The ids from <first> to <last>, both inside, as a JSON list of strings.

    A bound that begins with a character before `0` means the first, one behind `9` the last body.

        GET /api/node/3f8c/neurons/keyrange/100/2000
        GET /api/node/3f8c/neurons/keyrange/0/a
    """
    return await as_list(_ids(view, first, last))


# -- many annotations


async def get_keyrangevalues(view: View, first: Bound, last: Bound, query: FormAndShown) -> Reply:
    """The annotations of the bodies from <first> to <last>, both inside, as protobuf KeyValues, JSON or tar.

        GET /api/node/3f8c/neurons/keyrangevalues/0/a?json=true&fields=type
    """  # fmt: skip
    form = query.form()
    return await by_key(_range_items(view, first, last, query.selection()), form)


async def _range_items(view: View, first: int, last: int, selection: Selection) -> Items:
    pace = Pace()
    async for whole in undisputed(view, first, last):
        for page in whole.portions(PORTION):
            yield list(zip(map(str, page.ids), selection.many(page)))
            await pace.step()


async def get_keyvalues(view: View, request: Request, query: FormAndShown) -> Reply:
    """The annotations of the bodies that the body of the request names, in that order.

    The body is a protobuf Keys message, or with `json` or `tar` a JSON list of ids, as strings or numbers. `schema` and
    `schema_batch` are keys too. Of bodies without annotation come empty values in protobuf, empty files in tar, and
    nothing in JSON.

        GET /api/node/3f8c/neurons/keyvalues?json=true&show=user     with the body ["189323", "20400"]
    """
    form = query.form()
    data = await request.read(KEYS_LIMIT)
    if form == "protobuf":
        keys: Sequence[str | int] = parse(Keys, data).keys
    else:
        keys = parse_json(data, list[str | int] | None, "the list of keys") or []
    wanted = [(str(key), body_key(key) if key not in EDITOR_SCHEMAS else str(key)) for key in keys]
    return await by_key(_wanted_items(view, wanted, query.selection()), form)


async def _wanted_items(view: View, wanted: list[tuple[str, int | str]], selection: Selection) -> Items:
    texts = {name: await view.get(SCHEMA.key(name)) for name in {w for _, w in wanted if isinstance(w, str)}}
    pace = Pace()
    at = 0
    async for rows in find_many(view, [w if isinstance(w, int) else 0 for _, w in wanted]):
        some = wanted[at : at + len(rows)]
        at += len(rows)
        yield [
            (name, texts[w] if isinstance(w, str) else None if row is None else selection.one(row))
            for (name, w), row in zip(some, rows)
        ]
        await pace.step()


async def get_all(view: View, query: Shown) -> Reply:
    """All annotations as a JSON list of objects, ascending by body id.

    Annotations of which nothing but the id would be shown are left out, except with `fields=bodyid` alone, which lists
    all bodies.

        GET /api/node/3f8c/neurons/all
        GET /api/node/3f8c/neurons/all?fields=type,status&show=user
    """
    return await as_list(_all(view, query.selection()))


async def _all(view: View, selection: Selection) -> AsyncIterator[list[bytes]]:
    pace = Pace()
    async for whole in undisputed(view):
        for page in whole.portions(selection.portion):
            if selection.only_ids:
                yield [b'{"bodyid":%d}' % body for body in page.ids]
            else:
                texts = selection.many(page)
                if min(map(len, texts)) < 32:
                    texts = [t for body, t in zip(page.ids, texts) if not is_bare(body, t)]
                yield texts
            await pace.step()


# -- what fields there are


class CountsQuery(msgspec.Struct, frozen=True):
    """How fields are listed."""

    counts: Annotated[Flag, About("`true`: a JSON object {field: number of annotations that have it}")] = False


async def get_fields(view: View, query: CountsQuery) -> Reply:
    """The names of all fields in use, those of users and times included, as a JSON list.

    A field that was removed is in use as long as its X_user or X_time is there.

        GET /api/node/3f8c/neurons/fields
        GET /api/node/3f8c/neurons/fields?counts=true
    """
    counts: dict[str, int] = {}
    pace = Pace()
    async for page in undisputed(view):
        for name, count in page.summary().counts.items():
            counts[name] = counts.get(name, 0) + count
        await pace.step()
    return Reply.json(dict(sorted(counts.items())) if query.counts else sorted(counts))


async def get_fieldtimes(view: View) -> Reply:
    """When each field was last set in any annotation: {field: time}.

        GET /api/node/3f8c/neurons/fieldtimes
    """  # fmt: skip
    latest: dict[str, tuple[datetime, str]] = {}
    pace = Pace()
    async for page in undisputed(view):
        for field, found in page.summary().latest.items():
            if field not in latest or latest[field][0] < found[0]:
                latest[field] = found
        await pace.step()
    return Reply.json({field: text for field, (_, text) in sorted(latest.items())})
