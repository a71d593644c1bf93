"""How a posted object is merged into what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from dvid_core import BadRequest, parse_json

from .annotation import NULL, Annotation, mark_name
from .values import moment, normal, raw

UNMARKED = frozenset(("bodyid", "user"))
"""Fields whose writer and time are not noted."""


class Sent(msgspec.Struct):
    """A checked object: its fields and the marks it gives explicitly, null where it asks for removal."""

    body: int
    fields: dict[str, Raw]
    users: dict[str, Raw]
    times: dict[str, Raw]
    size: int
    """Bytes of the JSON that came."""


class Manner(msgspec.Struct, frozen=True):
    """How to merge."""

    user: str
    replace: bool = False
    """Fields that are not sent are dropped."""
    conditional: frozenset[str] = frozenset()
    """Fields that are written only where they are not set yet."""
    bare: bool = False
    """No marks are set but those that are sent."""


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data`."""
    if not data.strip():
        raise BadRequest(f"{what} is empty; a JSON object is expected")
    found = parse_json(data, Any, what)
    if not isinstance(found, dict):
        raise BadRequest(f"{what} must be a JSON object")
    return found


def check(body: int, found: Mapping[str, Any], size: int) -> Sent:
    """The object as it is merged, when it can be an annotation of `body`.  Raises `BadRequest` naming the field."""
    if body == 0:
        raise BadRequest("body 0 is reserved and has no annotation")
    sent = Sent(body, {}, {}, {}, size)
    for name, value in found.items():
        mark = mark_name(name)
        if mark is None:
            sent.fields[name] = raw(normal(value, name))
            continue
        field, side = mark
        if field == "bodyid":
            raise BadRequest(f"{name}: the field bodyid has no {side}")
        if side == "user":
            sent.users[field] = raw(normal(value, name))
        else:
            if value is not None and (not isinstance(value, str) or moment(value) is None):
                raise BadRequest(f"{name}: expected a time such as 2024-05-01T12:00:00Z, got {value!r:.80}")
            sent.times[field] = raw(value)
    _check_bodyid(body, found.get("bodyid"), "bodyid" in found)
    return sent


def _check_bodyid(body: int, bodyid: Any, given: bool) -> None:
    if not given:
        raise BadRequest("bodyid: an annotation must have this field")
    if not isinstance(bodyid, int) or isinstance(bodyid, bool) or not 0 <= bodyid < 2**64:
        raise BadRequest(f"bodyid: expected a whole number from 1 to 2^64-1, got {bodyid!r:.80}")
    if bodyid != body:
        raise BadRequest(f"bodyid: {bodyid} is not the key, {body}")


def merge(old: Annotation | None, sent: Sent, manner: Manner, now: str) -> Annotation:
    """The annotation after `sent` was written over `old` by `manner`."""
    before = old or Annotation({}, {})
    new = Annotation({}, {}) if manner.replace else Annotation(dict(before.fields), dict(before.marks))
    writer, time = (NULL, NULL) if manner.bare else (raw(manner.user), raw(now))
    for field, value in sent.fields.items():
        user, when = sent.users.get(field), sent.times.get(field)
        mine, at = (NULL, NULL) if field in UNMARKED else (writer, time)
        if value == NULL:
            new.fields.pop(field, None)
            _mark(new, field, mine if user is None else user, at if when is None else when)
            continue
        if not manner.replace and field in manner.conditional and field in before.fields:
            continue
        new.fields[field] = value
        if value != before.fields.get(field):
            _mark(new, field, _given(user, mine), _given(when, at))
            continue
        old_user, old_time = before.marks.get(field, (NULL, NULL))
        if manner.replace:
            old_user, old_time = _given(old_user, mine), _given(old_time, at)
        _mark(new, field, old_user if user is None else user, old_time if when is None else when)
    for field in (sent.users | sent.times).keys() - sent.fields.keys():
        user, when = sent.users.get(field), sent.times.get(field)
        old_user, old_time = new.marks.get(field, (NULL, NULL))
        if old is None and when is None and user is not None and user != NULL:
            when = time
        _mark(new, field, old_user if user is None else user, old_time if when is None else when)
    return new


def _given(wanted: Raw | None, otherwise: Raw) -> Raw:
    return otherwise if wanted is None or wanted == NULL else wanted


def _mark(annotation: Annotation, field: str, user: Raw, time: Raw) -> None:
    if user == NULL and time == NULL:
        annotation.marks.pop(field, None)
    else:
        annotation.marks[field] = (user, time)
