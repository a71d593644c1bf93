"""The layout of stored keys, and `KeyClass`, by which a datatype declares its own.

All numbers are big-endian, so that keys sort as their numbers do.

    0x00  metadata of the server; the second byte says what (see `Meta`)
    0x01  instance u32 | class u8 | tkey | (2^32-1 - version) u32      data, the newest version of a tkey first
          class 0 is the core's: 0x01 | instance | 0 | class u8 | version u32 marks that `version` wrote `class`
    0x02  instance u32 | version u32 | n u64                           mutation log; its head at the key without n
    0x03  content hash                                                 blobs
    0x04  instance u32 | id u64 | n u32                                chunks of large values
    0x05  instance u32 | kind u8 | ...                                 cursors, tokens, chunks to be swept

A *tkey* is the class byte and the packed fields: what a datatype sees of a key.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

NEWEST = 0xFFFFFFFF
LOG_CLASS = 0xFF
"""The pseudo class under which versions that have a mutation log are marked."""

u32 = struct.Struct(">I").pack
u64 = struct.Struct(">Q").pack


class Meta(bytes, enum.Enum):
    """The second byte of metadata keys."""

    FORMAT = b"F"
    COUNTER = b"C"
    UUID = b"U"
    REPO = b"R"
    NODE = b"N"
    OPEN = b"O"
    INSTANCE = b"I"
    LOG_LINE = b"L"
    MUTATION_ID = b"M"
    DOOMED = b"D"

    def key(self, *parts: bytes) -> bytes:
        """The key of these parts."""
        return b"\x00" + self.value + b"".join(parts)

    def range(self, *parts: bytes) -> tuple[bytes, bytes]:
        """The range of all keys that begin with these parts."""
        return prefix_range(self.key(*parts))


class Kind(bytes, enum.Enum):
    """The kinds of an instance's bookkeeping under 0x05."""

    CURSOR = b"C"
    SINK = b"K"
    STAGED = b"S"
    SWEEP = b"W"
    TOKEN = b"T"

    def key(self, instance: int, *parts: bytes) -> bytes:
        """The key of these parts."""
        return b"\x05" + u32(instance) + self.value + b"".join(parts)

    def range(self, instance: int, *parts: bytes) -> tuple[bytes, bytes]:
        """The range of all keys that begin with these parts."""
        return prefix_range(self.key(instance, *parts))


def prefix_range(prefix: bytes) -> tuple[bytes, bytes]:
    """The range of all keys that begin with `prefix`."""
    trimmed = prefix.rstrip(b"\xff")
    if not trimmed:
        return prefix, b"\xff" * 64
    return prefix, trimmed[:-1] + bytes([trimmed[-1] + 1])


def data_prefix(instance: int) -> bytes:
    """What the data keys of an instance begin with; the tkey follows."""
    return b"\x01" + u32(instance)


def wrote_key(instance: int, klass: int, version: int) -> bytes:
    """The mark that `version` wrote keys of `klass`."""
    return b"\x01" + u32(instance) + b"\x00" + bytes([klass]) + u32(version)


def log_prefix(instance: int, version: int) -> bytes:
    """The prefix of the mutation log of an instance in a version."""
    return b"\x02" + u32(instance) + u32(version)


def blob_key(digest: bytes) -> bytes:
    """The key of a blob."""
    return b"\x03" + digest


def chunk_key(instance: int, value_id: int, n: int = 0) -> bytes:
    """The key of the n-th chunk of a large value."""
    return b"\x04" + u32(instance) + u64(value_id) + u32(n)


def instance_ranges(instance: int) -> list[tuple[bytes, bytes]]:
    """All that is stored for an instance, outside the metadata."""
    return [prefix_range(space + u32(instance)) for space in (b"\x01", b"\x02", b"\x04", b"\x05")]


class Field(Protocol):
    """A part of a tkey: packs a value so that packed values sort as the values do."""

    def pack(self, value: Any) -> bytes: ...

    def unpack(self, key: bytes, at: int) -> tuple[Any, int]:
        """The value that begins at `at`, and the place after it."""
        ...


class _Number:
    def __init__(self, name: str, form: str, bias: int = 0) -> None:
        self._name, self._form, self._bias = name, struct.Struct(form), bias

    def pack(self, value: int) -> bytes:
        return self._form.pack(value + self._bias)

    def unpack(self, key: bytes, at: int) -> tuple[int, int]:
        return self._form.unpack_from(key, at)[0] - self._bias, at + self._form.size

    def __repr__(self) -> str:
        return self._name


class _Text:
    """Any bytes or text: 00 becomes 00 FF, and 00 01 ends it, so that no packed text begins another."""

    def pack(self, value: str | bytes) -> bytes:
        raw = value.encode(errors="surrogateescape") if isinstance(value, str) else value
        return raw.replace(b"\x00", b"\x00\xff") + b"\x00\x01"

    def unpack(self, key: bytes, at: int) -> tuple[str, int]:
        end = key.index(b"\x00\x01", at)
        return key[at:end].replace(b"\x00\xff", b"\x00").decode(errors="surrogateescape"), end + 2

    def __repr__(self) -> str:
        return "text"


class _ZYX:
    """Three signed 32-bit coordinates (z, y, x); negative ones sort before positive ones."""

    _form = struct.Struct(">III")

    def pack(self, value: Sequence[int]) -> bytes:
        z, y, x = value
        return self._form.pack(z + 2**31, y + 2**31, x + 2**31)

    def unpack(self, key: bytes, at: int) -> tuple[tuple[int, int, int], int]:
        z, y, x = self._form.unpack_from(key, at)
        return (z - 2**31, y - 2**31, x - 2**31), at + 12

    def __repr__(self) -> str:
        return "z, y, x (i32)"


U8: Field = _Number("u8", ">B")
U16: Field = _Number("u16", ">H")
U32: Field = _Number("u32", ">I")
U64: Field = _Number("u64", ">Q")
I32: Field = _Number("i32", ">I", 2**31)
TEXT: Field = _Text()
ZYX: Field = _ZYX()


class KeyClass:
    """One kind of key of a datatype.

        KEY = KeyClass(1, "value of a key", TEXT)
        KEY.key("a")           the tkey
        KEY.unpack(tkey)       ("a",)
        KEY.range("a", "c")    the half-open range of tkeys with "a" <= field <= "c"

    `number` (1 to 254) is the class byte and must never change once data are stored.
    """

    __slots__ = ("_byte", "about", "fields", "number")

    def __init__(self, number: int, about: str, *fields: Field) -> None:
        if not 1 <= number <= 254:
            raise ValueError(f"class number {number} of {about!r} is not in 1..254")
        self.number, self.about, self.fields = number, about, fields
        self._byte = bytes([number])

    def key(self, *values: Any) -> bytes:
        """The tkey of these field values; fewer values give the prefix of all keys that begin with them."""
        if len(values) == 1:
            return self._byte + self.fields[0].pack(values[0])
        return self._byte + b"".join([f.pack(v) for f, v in zip(self.fields, values)])

    def unpack(self, tkey: bytes) -> tuple[Any, ...]:
        """The field values of a tkey."""
        out, at = [], 1
        for field in self.fields:
            value, at = field.unpack(tkey, at)
            out.append(value)
        return tuple(out)

    def all(self, *values: Any) -> tuple[bytes, bytes]:
        """The range of all tkeys whose first fields have these values (none given: the whole class)."""
        return prefix_range(self.key(*values))

    def range(self, first: Any, last: Any) -> tuple[bytes, bytes]:
        """The range of tkeys with first <= first field <= last; tuples stand for several fields."""
        low = first if isinstance(first, tuple) else (first,)
        high = last if isinstance(last, tuple) else (last,)
        return self.key(*low), prefix_range(self.key(*high))[1]

    def __repr__(self) -> str:
        return f"KeyClass({self.number}, {self.about!r}, {', '.join(map(repr, self.fields))})"


def check_key_classes(classes: Iterable[KeyClass]) -> None:
    """Raise `ValueError` when two classes share a number."""
    seen: dict[int, str] = {}
    for c in classes:
        if c.number in seen:
            raise ValueError(f"key class {c.number} is both {seen[c.number]!r} and {c.about!r}")
        seen[c.number] = c.about
