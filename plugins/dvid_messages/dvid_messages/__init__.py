"""Protobuf messages that are declared where they are used, and read from the bodies of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from dvid_core import BadRequest

_F = descriptor_pb2.FieldDescriptorProto
_FIELD = re.compile(r"(repeated )?(?:map<(\w+), (\w+)>|(\w+)) (\w+) = (\d+)")
_SCALARS = {name: kind for name, kind in _F.Type.items() if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")}


def declare(package: str, messages: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The classes of messages, each given by its name and its fields as in a .proto file (proto3).

    Fields have a scalar type, another of these messages, or `map<scalar, either>`, and may be `repeated`.  Nothing is
    generated, so no compiler and no version of generated code is involved.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, f"{package}.{name}", package, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = message_factory.GetMessageClassesForFiles([file.name], pool)
    return {name: classes[f"{package}.{name}"] for name in messages}


def _add_field(message: Any, full_name: str, package: str, field: str) -> None:
    found = _FIELD.fullmatch(field)
    if found is None:
        raise ValueError(f"{field!r} is no field of a message")
    repeated, key, value, kind, name, number = found.groups()
    added = message.field.add(name=name, number=int(number))
    added.label = _F.LABEL_REPEATED if repeated or key else _F.LABEL_OPTIONAL
    if not key:
        _set_type(added, package, kind)
        return
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    for at, (part, of) in enumerate((("key", key), ("value", value)), 1):
        _set_type(entry.field.add(name=part, number=at, label=_F.LABEL_OPTIONAL), package, of)
    added.type, added.type_name = _F.TYPE_MESSAGE, f".{full_name}.{entry.name}"


def _set_type(field: Any, package: str, kind: str) -> None:
    scalar = _SCALARS.get(f"TYPE_{kind.upper()}")
    if scalar is not None:
        field.type = scalar
    else:
        field.type, field.type_name = _F.TYPE_MESSAGE, f".{package}.{kind}"


def parse(kind: Any, data: bytes) -> Any:
    """A message of the bytes; `BadRequest` when they are none."""
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as err:
        raise BadRequest(f"the body is no protobuf {kind.DESCRIPTOR.name}: {err}") from None


__all__ = ["declare", "parse"]
