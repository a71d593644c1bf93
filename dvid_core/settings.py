"""Settings of data instances: typed values inside, loose JSON on the wire.

Clients write names in any case, numbers as text and vectors as "64,64,64"; `read_settings` takes all of that and
names the key in every refusal.  Unknown keys are ignored, as the reference does.
"""

from __future__ import annotations

import contextlib
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .errors import BadRequest


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a datatype's own settings; field names are the wire's (`BlockSize`, `VoxelUnits`)."""


S = TypeVar("S", bound=Settings)

_INT = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


def read_settings(kind: type[S], raw: Mapping[str, Any]) -> S:
    """Make `kind` of a wire object.  Raises `BadRequest` naming the key and what it should be."""
    lower = {k.lower(): (k, v) for k, v in raw.items()}
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        if field.encode_name.lower() in lower:
            name, value = lower[field.encode_name.lower()]
            values[field.encode_name] = _read(hints[field.name], value, name)
        elif field.required:
            raise BadRequest(f"{field.encode_name}: this setting is required")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as err:
        raise BadRequest(f"bad setting: {err}") from None


def _read(kind: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _read(typing.get_args(kind)[0], value, name)
    if origin in (typing.Union, types.UnionType):
        inner = [k for k in typing.get_args(kind) if k is not types.NoneType]
        return None if value is None else _read(inner[0], value, name)
    if origin is tuple:
        kinds = typing.get_args(kind)
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or (kinds[-1] is not Ellipsis and len(parts) != len(kinds)):
            raise BadRequest(f"{name}: expected {len(kinds)} values separated by commas, got {_short(value)}")
        return tuple(_read(kinds[0], p.strip() if isinstance(p, str) else p, name) for p in parts)
    if kind is bool:
        return read_switch(value, name)
    if kind is int:
        number = int(value) if isinstance(value, str) and _INT.fullmatch(value) else value
        if isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**64:
            return number
        raise BadRequest(f"{name}: expected a whole number, got {_short(value)}")
    if kind is float:
        number = value if not isinstance(value, str) or _FLOAT.fullmatch(value) else None
        if isinstance(number, int | float | str) and not isinstance(number, bool):
            with contextlib.suppress(OverflowError):
                if math.isfinite(found := float(number)):
                    return found
        raise BadRequest(f"{name}: expected a number, got {_short(value)}")
    if kind is str and not isinstance(value, str):
        raise BadRequest(f"{name}: expected a string, got {_short(value)}")
    return value


def read_switch(value: Any, name: str) -> bool:
    """A boolean given as one, or as the text true, false, 1 or 0 in any case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise BadRequest(f"{name}: expected true or false, got {_short(value)}")


def read_tags(value: Any, name: str = "Tags") -> dict[str, str] | None:
    """Tags written as "a=1,b=2", None when none is left; parts without one "=" or without a name are dropped."""
    if not isinstance(value, str):
        raise BadRequest(f"{name}: expected a string such as 'a=1,b=2', got {_short(value)}")
    tags = {}
    for part in value.split(","):
        name, sign, text = part.partition("=")
        if sign and name and "=" not in text:
            tags[name] = text
    return tags or None


class Compression(msgspec.Struct, frozen=True):
    """How an instance's values are to be compressed; `level` -1 stands for the codec's own."""

    codec: str = "lz4"
    level: int = -1

    @classmethod
    def read(cls, value: Any) -> Compression:
        """Read `none snappy lz4 gzip gzip:N jpeg` in any case."""
        if not isinstance(value, str):
            raise BadRequest(f"Compression: expected a string, got {_short(value)}")
        codec, colon, level = value.lower().partition(":")
        if codec not in _COMPRESSION_NAMES or (colon and codec != "gzip"):
            raise BadRequest(f"Compression: {_short(value)} is none of none, snappy, lz4, gzip, gzip:N, jpeg")
        if not colon:
            return cls(codec)
        if not re.fullmatch(r"[0-9]", level, re.ASCII):
            raise BadRequest(f"Compression: the gzip level must be 0 to 9, got {_short(value)}")
        return cls(codec, int(level))

    def __str__(self) -> str:
        return f"{_COMPRESSION_NAMES[self.codec]}, level {self.level}"


_COMPRESSION_NAMES = {
    "none": "No compression",
    "snappy": "Go Snappy compression",
    "lz4": "LZ4 compression",
    "gzip": "gzip compression",
    "jpeg": "jpeg compression",
}

CHECKSUMS = {"none": "No checksum", "crc32": "CRC32 checksum"}
"""Settings of `Checksum` and how info shows them."""


def read_checksum(value: Any) -> str:
    """Read `none` or `crc32` in any case."""
    if not isinstance(value, str) or value.lower() not in CHECKSUMS:
        raise BadRequest(f"Checksum: expected none or crc32, got {_short(value)}")
    return value.lower()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
