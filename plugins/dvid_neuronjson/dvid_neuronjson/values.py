"""JSON values in the one form in which they are stored, so that equal values are equal bytes.

Whole numbers from -2^63 to 2^64-1 keep every digit and `5.0` is `5`; other numbers are float64.  Keys are sorted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec

from dvid_core import BadRequest

DEEPEST = 64
"""Levels of lists and objects within a field."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def normal(value: Any, field: str, room: int = DEEPEST) -> Any:
    """`value` with its numbers in their stored form.  Raises `BadRequest` naming the field."""
    kind = type(value)
    if kind is float:
        if not isfinite(value):
            raise BadRequest(f"{field[:80]}: {value} is no JSON number")
        return int(value) if value.is_integer() and -(2.0**63) <= value < 2.0**64 else value
    if kind is int:
        if -(2**63) <= value < 2**64:
            return value
        try:
            return float(value)
        except OverflowError:
            raise BadRequest(f"{field[:80]}: a number is too large") from None
    if kind is list or kind is dict:
        if not room:
            raise BadRequest(f"{field[:80]}: the value is nested deeper than {DEEPEST} levels")
        if kind is list:
            return [normal(v, field, room - 1) for v in value]
        return {k: normal(v, field, room - 1) for k, v in value.items()}
    return value


def raw(value: Any) -> msgspec.Raw:
    """The JSON text of a normal value."""
    return msgspec.Raw(_encode(value))


def encode(value: Any) -> bytes:
    """The JSON text of a normal value, keys sorted; `Raw` parts go in as they are."""
    return _encode(value)


def moment(text: str) -> datetime | None:
    """The time that an RFC 3339 text names (UTC when it has no zone); None when it names none."""
    if not _TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def time_text(seconds: float) -> str:
    """A time as annotations hold it: RFC 3339 in the server's zone, whole seconds."""
    return datetime.fromtimestamp(int(seconds)).astimezone().isoformat().replace("+00:00", "Z")
