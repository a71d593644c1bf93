"""Messages of keys and values.

    message KeyValue  { string key = 1; bytes value = 2; }
    message KeyValues { repeated KeyValue kvs = 1; }
    message KeyRange  { string key = 1; uint64 byte_start = 2; uint64 byte_end = 3; }    // both ends inside
    message Keys      { repeated string keys = 1; repeated KeyRange key_ranges = 2; }

The first three and the keys are DVID's; ranges are ours, and are unknown fields to others.
"""

from __future__ import annotations

from typing import Any

from . import declare

_CLASSES = declare(
    "dvid.keyvalues",
    {
        "KeyValue": ["string key = 1", "bytes value = 2"],
        "KeyValues": ["repeated KeyValue kvs = 1"],
        "KeyRange": ["string key = 1", "uint64 byte_start = 2", "uint64 byte_end = 3"],
        "Keys": ["repeated string keys = 1", "repeated KeyRange key_ranges = 2"],
    },
)
KeyValue: Any = _CLASSES["KeyValue"]
KeyValues: Any = _CLASSES["KeyValues"]
Keys: Any = _CLASSES["Keys"]

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
