"""Parts of paths and options of annotations."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from dvid_core import About, BadRequest, Param, Request

_POINT = re.compile(r"(-?[0-9]{1,10})_(-?[0-9]{1,10})_(-?[0-9]{1,10})", re.ASCII)
_BLOCK = re.compile(r"(-?[0-9]{1,10}),(-?[0-9]{1,10}),(-?[0-9]{1,10})", re.ASCII)
_LIMIT = 2**31


def parse_point(text: str) -> tuple[int, int, int]:
    """Three whole numbers within 32 bits, x_y_z."""
    found = _POINT.fullmatch(text)
    point = (0, 0, _LIMIT) if found is None else (int(found[1]), int(found[2]), int(found[3]))
    if not all(-_LIMIT <= n < _LIMIT for n in point):
        raise ValueError("expected three whole numbers of 32 bits joined by '_', such as 10_20_30")
    return point


def parse_label(text: str) -> int:
    """A label: 1 to 2^64-1."""
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or not 0 < int(text) < 2**64:
        raise ValueError("expected a label, a whole number from 1 to 2^64-1")
    return int(text)


def parse_block(text: str) -> tuple[int, int, int]:
    """The key of a block, "x,y,z" -> z, y, x.  Raises `BadRequest`."""
    found = _BLOCK.fullmatch(text)
    if found is None or not all(-_LIMIT <= int(n) < _LIMIT for n in found.groups()):
        raise BadRequest(f"{text[:80]!r}: expected the coordinates of a block, such as '1,-2,3'")
    return int(found[3]), int(found[2]), int(found[1])


Point = Annotated[
    tuple[int, int, int],
    Param(parse_point, "x_y_z", {"type": "string", "pattern": "^-?[0-9]+_-?[0-9]+_-?[0-9]+$"}),
]
Label = Annotated[int, Param(parse_label, "a label", {"type": "integer", "minimum": 1})]


class LogQuery(msgspec.Struct, frozen=True):
    """Whether a write is logged."""

    kafkalog: Annotated[str, About("`off`: no log message of this request")] = "on"


class ListQuery(msgspec.Struct, frozen=True):
    """What is told of relationships."""

    relationships: Annotated[
        str,
        About(
            "`true`: elements with their relationships, as their blocks have them; `verbose`: each relationship also "
            "with the Kind, Tags and Prop of the element that it points to"
        ),
    ] = ""


class ReloadQuery(msgspec.Struct, frozen=True):
    """Taken for clients that send them; every reload makes all lists anew, in little memory."""

    inmemory: Annotated[str, About("has no effect")] = ""
    check: Annotated[str, About("has no effect")] = ""


class ScanQuery(msgspec.Struct, frozen=True):
    """Taken for clients that send them."""

    byCoord: Annotated[str, About("has no effect")] = ""
    keysOnly: Annotated[str, About("has no effect")] = ""


def check_length(request: Request, length: int) -> None:
    """Raise `BadRequest` when a path has parts that the endpoint does not know."""
    if any(request.parts[length:]):
        raise BadRequest(f"{request.parts[0]}: unexpected {request.parts[length][:80]!r} in the path")


def log_entry(query: LogQuery, action: str, **more: Any) -> dict[str, Any] | None:
    """What the log shows of a write; None when it is not to be logged."""
    return None if query.kafkalog == "off" else {"Action": action, **more}
