"""What several endpoints ask in the same way."""

from __future__ import annotations

import hashlib
import typing
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import numpy as np

from dvid_core import About, BadRequest, Param, Request, Switch, View

from ..peers import RoiMask
from .body import Labels

if TYPE_CHECKING:
    from .instance import Segmentation

LISTED = 64 << 20
"""Bytes of a JSON list of labels or points."""


def parse_scale(text: str) -> int:
    """A scale, 0 to 255."""
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255):
        raise ValueError("expected a scale, a whole number from 0 to 255")
    return int(text)


Scale = Annotated[int, Param(parse_scale, "a scale", {"type": "integer", "minimum": 0, "maximum": 255})]

Yes = Annotated[
    bool,
    Param(lambda t: t in ("true", "True"), "taken only with the value `true`", {"type": "string", "enum": ["true"]}),
]


class LabelQuery(msgspec.Struct, frozen=True):
    """Which labels are read."""

    supervoxels: Annotated[Yes, About("`true`: supervoxels, not the bodies that they belong to")] = False
    scale: Annotated[Scale, About("0 is full resolution, each further one half of it")] = 0


class ThrottledQuery(LabelQuery, frozen=True):
    """The same, for large reads."""

    throttle: Annotated[Switch, About("`on` or `true`: answer 503 when too many such requests are under way")] = False


def plain(query: type[msgspec.Struct], *without: str) -> type[msgspec.Struct]:
    """The same options without `supervoxels`, for datatypes whose voxels hold bodies, and `without` others."""
    hints = typing.get_type_hints(query, include_extras=True)
    options: list[tuple[str, typing.Any, typing.Any]] = []
    namespace: dict[str, typing.Any] = {"__doc__": query.__doc__}
    for base in reversed(query.__mro__):
        namespace.update((name, value) for name, value in vars(base).items() if isinstance(value, property))
    for field in msgspec.structs.fields(query):
        if field.name in ("supervoxels", *without):
            namespace[field.name] = field.default
        else:
            options.append((field.name, hints[field.name], field.default))
    return msgspec.defstruct(query.__name__, options, namespace=namespace, module=query.__module__, frozen=True)


def instance_of(view: View) -> Segmentation:
    """The instance, as the type it is."""
    return cast("Segmentation", view.instance)


def check_indexed(view: View) -> Segmentation:
    """The instance, if it keeps label indices; else `BadRequest`."""
    instance = instance_of(view)
    if not instance.settings.IndexedLabels:
        raise BadRequest(f"{instance.name} keeps no label indices (IndexedLabels is false)")
    return instance


def check_body(label: int) -> int:
    """`label`, if it can be one of a body; 0 is the background."""
    if label == 0:
        raise BadRequest("label: 0 is the background, not a body")
    return label


async def mask_of(view: View, roi: str, scale: int) -> RoiMask | None:
    """The ROI of that name; None for none."""
    if not roi:
        return None
    if scale:
        raise BadRequest("roi: only voxels of scale 0 can be masked")
    return await view.peer(roi, RoiMask)


LABEL_LIST: msgspec.json.Decoder[list[int]] = msgspec.json.Decoder(list[int])


def parse_labels(data: bytes) -> Labels:
    """A JSON list of labels.  Raises `BadRequest`."""
    try:
        return np.array(LABEL_LIST.decode(data), np.uint64)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as err:
        raise BadRequest(f"the body is no JSON list of labels: {err}") from None


async def read_list(request: Request, digest: str = "") -> bytes:
    """The body of a request that lists labels or points; `digest` is the `hash` it must have, if given."""
    data = await request.read(LISTED)
    check_hash(data, digest)
    return data


def check_hash(data: bytes, digest: str) -> None:
    """Raise `BadRequest` unless `digest` is empty or the MD5 of the data in lower-case hex."""
    if digest and hashlib.md5(data, usedforsecurity=False).hexdigest() != digest:
        raise BadRequest("hash: the body has another MD5 than the option says")


async def read_labels(view: View, request: Request, digest: str = "") -> Labels:
    """The labels that the body lists."""
    data = await read_list(request, digest)
    if len(data) <= 1 << 16:
        return parse_labels(data)
    return await view.run(parse_labels, data)
