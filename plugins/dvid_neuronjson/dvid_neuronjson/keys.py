"""Stored keys of neuronjson, and the body ids and names of requests."""

from __future__ import annotations

from typing import Annotated

from dvid_core import TEXT, U64, BadRequest, KeyClass, Param

ANNOTATION = KeyClass(1, "annotation of body", U64)
SCHEMA = KeyClass(2, "schema", TEXT)
EDIT = KeyClass(3, "edit of body, mutation id", U64, U64)

JSON_SCHEMA = "json_schema"
EDITOR_SCHEMAS = ("schema", "schema_batch")
"""Texts for annotation editors; clients also reach them as keys."""

LARGEST = 2**64 - 1


def parse_body(text: str) -> int:
    """A body id in decimal ASCII digits, leading zeros allowed; `ValueError` for anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > 64 or (body := int(text)) > LARGEST:
        raise ValueError("expected a body id, a whole number from 1 to 2^64-1")
    return body


def parse_key(text: str) -> int | str:
    """A body id, or the name of an editor's schema."""
    return text if text in EDITOR_SCHEMAS else parse_body(text)


def parse_bound(text: str) -> int:
    """An end of a range: a body id; what sorts before the digits means 0, and behind them 2^64-1."""
    if text[:1] < "0":
        return 0
    if text[:1] > "9":
        return LARGEST
    return parse_body(text)


Key = Annotated[int | str, Param(parse_key, "a body id (or `schema`, `schema_batch`)", {"type": "integer"})]
Body = Annotated[int, Param(parse_body, "a body id", {"type": "integer"})]
Bound = Annotated[int, Param(parse_bound, "a body id; text before `0` or behind `9` is beyond all of them")]


def body_of(tkey: bytes) -> int:
    """The body id of a tkey of `ANNOTATION`."""
    return int.from_bytes(tkey[1:], "big")


def body_key(key: str | int) -> int:
    """The body id that a request's list or message names; `BadRequest` naming it when it is none."""
    if isinstance(key, int):
        if isinstance(key, bool) or not 0 <= key <= LARGEST:
            raise BadRequest(f"key {key}: expected a body id, a whole number from 1 to 2^64-1")
        return key
    try:
        return parse_body(key)
    except ValueError as err:
        raise BadRequest(f"key {key[:80]!r}: {err}") from None
