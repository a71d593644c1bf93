"""Streams of label blocks as clients send and get them: frames, and gzip of what is in them.

A frame is int32 x, y, z (block coordinates), int32 n and n bytes, all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from isal import isal_zlib

from ..geometry import Triple
from .form import Buffer

_HEAD = struct.Struct("<4i")

GZIP = 31
"""Window bits that stand for gzip with the largest window."""

MEMBERS = 16
"""Members that a gzip payload may have: what is behind one is copied before it is looked at."""


def frame(at: Triple, payload: Buffer) -> bytes:
    """One frame of the block `at` (z, y, x in blocks)."""
    z, y, x = at
    return b"".join((_HEAD.pack(x, y, z, memoryview(payload).nbytes), payload))


class FrameReader:
    """Cuts a stream into frames as its bytes come.

        reader = FrameReader(payload_limit)
        async for piece in request.chunks():
            for at, payload in reader.feed(piece):
                ...
        reader.end()

    Never holds more than one frame beside the piece that was fed.
    """

    def __init__(self, limit: int) -> None:
        """Payloads of more than `limit` bytes are refused as soon as their head is there."""
        self.limit = limit
        self.frames = 0
        self._held = bytearray()

    def feed(self, piece: Buffer) -> Iterator[tuple[Triple, bytes]]:
        """The frames that are complete with `piece`: ((z, y, x) in blocks, payload).

        Raises ValueError at the first bad head, after the frames before it.  Use all of it before the next `feed`.
        """
        held = self._held
        held += piece
        start = 0
        try:
            while len(held) - start >= _HEAD.size:
                x, y, z, n = _HEAD.unpack_from(held, start)
                if not 0 < n <= self.limit:
                    raise ValueError(
                        f"frame {self.frames}, block {x}, {y}, {z}: a payload has 1 to {self.limit} bytes, not {n}"
                    )
                end = start + _HEAD.size + n
                if len(held) < end:
                    break
                payload = bytes(memoryview(held)[start + _HEAD.size : end])
                start = end
                self.frames += 1
                yield (z, y, x), payload
        finally:
            del held[:start]

    def end(self) -> None:
        """Raise ValueError unless the stream ended behind a whole frame."""
        if self._held:
            what = "payload" if len(self._held) >= _HEAD.size else "head"
            raise ValueError(f"the stream ends within the {what} of frame {self.frames}")


def gunzip(payload: Buffer, limit: int) -> bytes:
    """What gzip members hold, at most `limit` bytes, for example `limit(size)` of a label block.

    Raises ValueError when it is no gzip, broken or cut, when it holds more, has more than 16 members, or when something
    follows it.
    """
    out: list[bytes] = []
    room, rest = limit, payload
    while True:
        unpacker = isal_zlib.decompressobj(GZIP)
        try:
            out.append(unpacker.decompress(rest, room + 1))
        except isal_zlib.error as err:  # type: ignore[misc]
            raise ValueError(f"the payload is no gzip: {err}") from None
        room -= len(out[-1])
        if room < 0:
            raise ValueError(f"the gzip payload holds more than {limit} bytes")
        if not unpacker.eof:
            raise ValueError("the gzip payload is cut, or no gzip")
        rest = unpacker.unused_data
        if not rest:
            return out[0] if len(out) == 1 else b"".join(out)
        if len(out) == MEMBERS:
            raise ValueError(f"the gzip payload has more than {MEMBERS} members")


def gzipped(data: Buffer) -> bytes:
    """`data` as one gzip member: as small as zlib's level 1, in a quarter of its time."""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP)
    return bytes(packer.compress(data) + packer.flush())
