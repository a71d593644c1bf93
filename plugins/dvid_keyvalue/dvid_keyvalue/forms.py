"""Several values in one reply: as protobuf, JSON or tar, streamed with a few values in memory at a time."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from typing import Literal, Protocol

import msgspec
from dvid_messages.keyvalues import entry_head

from dvid_core import JSON, OCTETS, BadRequest, Disputed, Reply, Value, View, parse_json

Form = Literal["protobuf", "json", "tar"]

Part = tuple[int, int] | None
"""The bytes start <= i < stop of a value, or all of it."""

Item = tuple[str, Value | None, Part]
"""A key, its value when it has one, and the part that is wanted."""

Items = AsyncIterator[list[Item]]

CHECKED = 32 << 20
"""Bytes of a value that is looked at as JSON: parsing takes about 1 s a GB, in which nothing else is done."""

GATHER = 256 << 10
"""Small pieces are joined to about this many bytes before they are sent."""


def undisputed(view: View, tkey: bytes, found: Value | Disputed | None) -> Value | None:
    """What was found; an error when parents of a merge disagree about it."""
    if isinstance(found, Disputed):
        raise view.conflict(tkey, found.versions)
    return found


def reply(items: Items, form: Form, *, distinct: bool = False) -> Reply:
    """The reply in the given form; `distinct` when no key can come twice."""
    if form == "json":
        return Reply(content_type=JSON, stream=_stream(items, Json(distinct)))
    if form == "tar":
        return Reply(content_type="application/tar", stream=_stream(items, Tar()))
    return Reply(content_type=OCTETS, stream=_stream(items, Protobuf()))


def _span(value: Value | None, part: Part) -> tuple[int, int]:
    if value is None:
        return 0, 0
    return part if part is not None else (0, value.size)


async def _stream(items: Items, frame: Frame) -> AsyncIterator[bytes]:
    held, size = [frame.start], 0
    async for page in items:
        for key, value, part in page:
            data = b"" if value is None else value.inline if part is None else _part(value, part)
            if data is not None:
                if (head := frame.head(key, len(data))) is not None:
                    held += (head, data, frame.tail(len(data)))
                    size += len(head) + len(data)
            elif value is not None:
                start, stop = _span(value, part)
                if (head := frame.head(key, stop - start)) is not None:
                    held.append(head)
                    async for piece in value.chunks(start, stop):
                        held.append(piece)
                        size += len(piece)
                        if size >= GATHER:
                            yield b"".join(held)
                            held, size = [], 0
                    held.append(frame.tail(stop - start))
            if size >= GATHER:
                yield b"".join(held)
                held, size = [], 0
    held.append(frame.end)
    if rest := b"".join(held):
        yield rest


def _part(value: Value, part: tuple[int, int]) -> bytes | None:
    """A part of a value whose bytes are at hand."""
    data = value.inline
    return None if data is None else data[part[0] : part[1]]


class Frame(Protocol):
    """What stands around the values."""

    start: bytes
    end: bytes

    def head(self, key: str, size: int) -> bytes | None:
        """What comes before a value of this size; None to leave it out."""
        ...

    def tail(self, size: int) -> bytes:
        """What comes behind it."""
        ...


class Protobuf:
    """A KeyValues message."""

    start = end = b""

    def head(self, key: str, size: int) -> bytes:
        return entry_head(key, size)

    def tail(self, size: int) -> bytes:
        return b""


class Json:
    """An object with each key once, the values as they are stored, {} for those without bytes."""

    start, end = b"{", b"}"

    def __init__(self, distinct: bool) -> None:
        self._seen: set[str] | None = None if distinct else set()
        self._sign = b""

    def head(self, key: str, size: int) -> bytes | None:
        if self._seen is not None:
            if key in self._seen:
                return None
            self._seen.add(key)
        sign, self._sign = self._sign, b","
        return b"%b%b:" % (sign, msgspec.json.encode(key))

    def tail(self, size: int) -> bytes:
        return b"" if size else b"{}"


class Tar:
    """A file for each key, named by it."""

    start, end = b"", b"\x00" * (2 * tarfile.BLOCKSIZE)

    def head(self, key: str, size: int) -> bytes:
        return tar_head(key, size)

    def tail(self, size: int) -> bytes:
        return b"\x00" * (-size % tarfile.BLOCKSIZE)


def _tar_info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o755
    return info


_BLANK = _tar_info("", 0).tobuf(tarfile.USTAR_FORMAT)
_BLANK_SUM = 256 + sum(_BLANK[:148]) + sum(_BLANK[156:]) - 11 * 48


def tar_head(name: str, size: int) -> bytes:
    """The header of a file in a tar, mode 0755.

    Short names, the usual case, are written into a copy of one header, which is fifteen times as fast as
    `tarfile` makes one; all others are left to it.
    """
    raw = name.encode()
    if len(raw) > 100 or not name.isascii() or size >= 8**11 or "\x00" in name:
        info = _tar_info(name, size)
        if "\x00" in name:
            info.pax_headers = {"path": name}  # the plain header would end the name at its NUL
        return info.tobuf(tarfile.PAX_FORMAT)
    digits = b"%011o" % size
    total = _BLANK_SUM + sum(raw) + sum(digits)
    return b"".join((
        raw, _BLANK[len(raw) : 124], digits, _BLANK[135:148], b"%06o\x00 " % total, _BLANK[156:],
    ))  # fmt: skip


async def check_json(items: Items) -> None:
    """Raise `BadRequest` naming the first key whose value is no JSON."""
    async for page in items:
        for key, value, part in page:
            start, stop = _span(value, part)
            if value is None or stop == start:
                continue
            if stop - start > CHECKED:
                raise BadRequest(
                    f"the value of key {key[:80]!r} cannot be checked: it has {stop - start} bytes, "
                    f"and at most {CHECKED} are looked at as JSON"
                )
            data = await value.read(start, stop)
            try:
                data.decode()  # the parser looks at the structure only
            except UnicodeDecodeError:
                raise BadRequest(f"the value of key {key[:80]!r} is no JSON: it is not UTF-8") from None
            parse_json(data, msgspec.Raw, f"the value of key {key[:80]!r}")
