"""The protobuf messages of keyvalue:

    message KeyValue  { string key = 1; bytes value = 2; }
    message KeyValues { repeated KeyValue kvs = 1; }
    message KeyRange  { string key = 1; uint64 byte_start = 2; uint64 byte_end = 3; }    // both ends inside
    message Keys      { repeated string keys = 1; repeated KeyRange key_ranges = 2; }

They are declared here rather than generated, so that no compiler and no version of generated code is involved.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from dvid_core import BadRequest

_F = descriptor_pb2.FieldDescriptorProto


def _declare() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="dvid_keyvalue.proto", package="dvid", syntax="proto3")
    fields = {
        "KeyValue": [("key", 1, _F.TYPE_STRING, ""), ("value", 2, _F.TYPE_BYTES, "")],
        "KeyValues": [("kvs", 1, _F.TYPE_MESSAGE, "KeyValue")],
        "KeyRange": [("key", 1, _F.TYPE_STRING, ""), ("byte_start", 2, _F.TYPE_UINT64, ""),
        ("byte_end", 3, _F.TYPE_UINT64, "")],
        "Keys": [("keys", 1, _F.TYPE_STRING, "*"), ("key_ranges", 2, _F.TYPE_MESSAGE, "KeyRange")],
    }  # fmt: skip
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in members:
            added = message.field.add(name=field, number=number, type=kind)
            added.label = _F.LABEL_REPEATED if of else _F.LABEL_OPTIONAL
            if kind == _F.TYPE_MESSAGE:
                added.type_name = f".dvid.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_CLASSES = _declare()
KeyValue: Any = _CLASSES["dvid.KeyValue"]
KeyValues: Any = _CLASSES["dvid.KeyValues"]
Keys: Any = _CLASSES["dvid.Keys"]


def parse(kind: Any, data: bytes) -> Any:
    """A message of the bytes; `BadRequest` when they are none."""
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as err:
        raise BadRequest(f"the body is no protobuf {kind.DESCRIPTOR.name}: {err}") from None


_ONE_BYTE = [bytes([n]) for n in range(128)]


def _varint(n: int) -> bytes:
    if n < 128:
        return _ONE_BYTE[n]
    if n < 1 << 14:
        return bytes((n & 127 | 128, n >> 7))
    return bytes((n & 127 | 128,)) + _varint(n >> 7)


def entry_head(key: str, size: int) -> bytes:
    """What comes before the bytes of a value in an entry of KeyValues, so that values can be streamed.

    Messages of one type may be concatenated, which makes a list of entries a stream of them.
    """
    name, length = key.encode(), _varint(size)
    if size and len(name) < 128:
        return b"\x0a%b\x0a%c%b\x12%b" % (_varint(3 + len(name) + len(length) + size), len(name), name, length)
    inner = b"\x0a%b%b" % (_varint(len(name)), name)
    if size:
        inner += b"\x12" + length
    return b"\x0a%b%b" % (_varint(len(inner) + size), inner)
