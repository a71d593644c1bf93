"""Several values in one reply: as protobuf, JSON or tar, streamed with a few values in memory at a time."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from dvid_core import JSON, OCTETS, BadRequest, Disputed, Reply, Value, View, parse_json

from .messages import entry_head

Form = Literal["protobuf", "json", "tar"]

Part = tuple[int, int] | None
"""The bytes start <= i < stop of a value, or all of it."""

Item = tuple[str, Value | None, Part]
"""A key, its value when it has one, and the part that is wanted."""

Items = AsyncIterator[list[Item]]

CHECKED = 32 << 20
"""Bytes of a value that is looked at as JSON: parsing takes 1 s a GB, in which nothing else is done."""

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
        return Reply(content_type=JSON, stream=_gathered(_json(items, None if distinct else set())))
    if form == "tar":
        return Reply(content_type="application/tar", stream=_gathered(_tar(items)))
    return Reply(content_type=OCTETS, stream=_gathered(_protobuf(items)))


def _span(value: Value | None, part: Part) -> tuple[int, int]:
    if value is None:
        return 0, 0
    return part if part is not None else (0, value.size)


async def _content(value: Value | None, start: int, stop: int) -> AsyncIterator[bytes]:
    if value is not None and stop > start:
        async for piece in value.chunks(start, stop):
            yield piece


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= GATHER:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def _protobuf(items: Items) -> AsyncIterator[bytes]:
    async for page in items:
        for key, value, part in page:
            start, stop = _span(value, part)
            yield entry_head(key, stop - start)
            if value is not None and (data := value.inline) is not None:
                yield data[start:stop]
            else:
                async for piece in _content(value, start, stop):
                    yield piece


async def _json(items: Items, seen: set[str] | None) -> AsyncIterator[bytes]:
    sign = b"{"
    async for page in items:
        for key, value, part in page:
            if seen is not None:
                if key in seen:
                    continue
                seen.add(key)
            yield sign + msgspec.json.encode(key) + b":"
            sign = b","
            start, stop = _span(value, part)
            if stop == start:
                yield b"{}"
            async for piece in _content(value, start, stop):
                yield piece
    yield b"}" if sign == b"," else b"{}"


async def _tar(items: Items) -> AsyncIterator[bytes]:
    async for page in items:
        for key, value, part in page:
            start, stop = _span(value, part)
            yield tar_head(key, stop - start)
            async for piece in _content(value, start, stop):
                yield piece
            yield b"\x00" * (-(stop - start) % tarfile.BLOCKSIZE)
    yield b"\x00" * (2 * tarfile.BLOCKSIZE)


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
            parse_json(await value.read(start, stop), msgspec.Raw, f"the value of key {key[:80]!r}")
