"""Many annotations in one reply: as a JSON list, as a JSON object by key, as protobuf or as tar."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import msgspec
from dvid_messages.keyvalues import entry_head

from dvid_core import JSON, OCTETS, About, BadRequest, Flag, Reply

Form = Literal["protobuf", "json", "tar"]

Items = AsyncIterator[list[tuple[str, bytes | None]]]
"""Pages of (key, JSON of the annotation); None where there is none."""

GATHER = 256 << 10
"""Small pieces are joined to about this many bytes before they are sent."""
WHOLE = 1 << 20
"""Replies up to this size are sent with their length rather than streamed."""


class FormQuery(msgspec.Struct, frozen=True):
    """The form of a reply."""

    json: Annotated[Flag, About("`true`: a JSON object {key: annotation}")] = False
    tar: Annotated[Flag, About("`true`: a tar with a file for each key")] = False
    jsontar: Annotated[Flag, About("`true`: the same as tar")] = False
    protobuf: Annotated[Flag, About("`true`: protobuf KeyValues, which is the default")] = False
    check: Annotated[Flag, About("accepted and without effect: annotations are always JSON")] = False

    def form(self) -> Form:
        """The one that is asked for."""
        if self.json and (self.tar or self.jsontar):
            raise BadRequest("json and tar cannot be asked for together")
        return "json" if self.json else "tar" if self.tar or self.jsontar else "protobuf"


async def by_key(items: Items, form: Form) -> Reply:
    """The reply in the given form."""
    if form == "json":
        return await sent(_object(items), JSON)
    if form == "tar":
        return await sent(_tar(items), "application/tar")
    return await sent(_protobuf(items), OCTETS)


async def as_list(parts: AsyncIterator[list[bytes]]) -> Reply:
    """A JSON list of the texts in `parts`."""
    return await sent(_list(parts), JSON)


async def sent(pieces: AsyncIterator[bytes], content_type: str) -> Reply:
    """The reply of these pieces: whole when they are short, else a stream of larger pieces."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > WHOLE:
            return Reply(content_type=content_type, stream=_gathered(b"".join(held), pieces))
    return Reply(b"".join(held), content_type)


async def _gathered(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
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


async def _list(parts: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    sign = b"["
    async for texts in parts:
        if texts:
            yield sign + b",".join(texts)
            sign = b","
    yield b"]" if sign == b"," else b"[]"


async def _protobuf(items: Items) -> AsyncIterator[bytes]:
    async for page in items:
        yield b"".join([entry_head(key, len(value or b"")) + (value or b"") for key, value in page])


async def _object(items: Items) -> AsyncIterator[bytes]:
    sign = b"{"
    seen: set[str] = set()
    async for page in items:
        out = []
        for key, value in page:
            if value is not None and key not in seen:
                seen.add(key)
                out.append(b'%b"%b":%b' % (sign, key.encode(), value))
                sign = b","
        yield b"".join(out)
    yield b"}" if sign == b"," else b"{}"


async def _tar(items: Items) -> AsyncIterator[bytes]:
    async for page in items:
        out = []
        for key, value in page:
            data = value or b""
            out += [_tar_head(key, len(data)), data, b"\x00" * (-len(data) % tarfile.BLOCKSIZE)]
        yield b"".join(out)
    yield b"\x00" * (2 * tarfile.BLOCKSIZE)


def _blank_head() -> bytes:
    info = tarfile.TarInfo("")
    info.mode = 0o755
    return info.tobuf(tarfile.USTAR_FORMAT)


_BLANK = _blank_head()
_BLANK_SUM = 256 + sum(_BLANK[:148]) + sum(_BLANK[156:]) - 11 * 48


def _tar_head(name: str, size: int) -> bytes:
    """The header of a file; name and size are written into a blank one, which is 15 times as fast as `tarfile`."""
    raw, digits = name.encode(), b"%011o" % size
    total = _BLANK_SUM + sum(raw) + sum(digits)
    return b"".join((raw, _BLANK[len(raw) : 124], digits, _BLANK[135:148], b"%06o\x00 " % total, _BLANK[156:]))
