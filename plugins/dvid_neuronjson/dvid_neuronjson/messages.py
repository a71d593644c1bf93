"""The protobuf messages of neuronjson:

    message KeyValue  { string key = 1; bytes value = 2; }
    message KeyValues { repeated KeyValue kvs = 1; }
    message Keys      { repeated string keys = 1; }

They are declared here rather than generated, so that no compiler and no version of generated code is involved.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from dvid_core import BadRequest

_F = descriptor_pb2.FieldDescriptorProto


def _declare() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="dvid_neuronjson.proto", package="dvid", syntax="proto3")
    for name, fields in {
        "KeyValue": [("key", _F.TYPE_STRING, False), ("value", _F.TYPE_BYTES, False)],
        "KeyValues": [("kvs", _F.TYPE_MESSAGE, True)],
        "Keys": [("keys", _F.TYPE_STRING, True)],
    }.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, repeated) in enumerate(fields, 1):
            added = message.field.add(name=field, number=number, type=kind)
            added.label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
            if kind == _F.TYPE_MESSAGE:
                added.type_name = ".dvid.KeyValue"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_CLASSES = _declare()
KeyValues: Any = _CLASSES["dvid.KeyValues"]
Keys: Any = _CLASSES["dvid.Keys"]


def parse(kind: Any, data: bytes) -> Any:
    """A message of the bytes; `BadRequest` when they are none."""
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as err:
        raise BadRequest(f"the body is no protobuf {kind.DESCRIPTOR.name}: {err}") from None


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def entry(key: bytes, value: bytes) -> bytes:
    """One entry of KeyValues; messages of one type may be concatenated, so entries are sent one by one."""
    inner = b"\x0a" + _varint(len(key)) + key
    if value:
        inner += b"\x12" + _varint(len(value))
    return b"\x0a" + _varint(len(inner) + len(value)) + inner + value
