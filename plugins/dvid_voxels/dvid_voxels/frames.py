"""Streams of blocks: as frames of int32 LE x, y, z (block coordinates), int32 LE n, and n bytes; or in a row."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import groupby

from dvid_core import Piece, Reply

from .codecs import Codec
from .geometry import Box, Triple
from .pipeline import pipelined
from .volume import SLAB, Stored, Volume

_HEAD = struct.Struct("<4i")

AT_HAND = 16 << 20
"""Bytes of blocks that are read before the first is sent, so that the length of the reply is known."""

NAMED = 1024
"""So many blocks are asked for by name, whether they exist or not."""

PIECE = 512 << 10
"""Bytes of voxels that one piece of a stream has the frames of; to copy so many takes 60 us."""


def frames(found: Sequence[Stored], form: Callable[[Piece], Piece]) -> bytes:
    """A kernel: the frames of stored blocks, `form` making a payload of each."""
    out: list[Piece] = []
    for (z, y, x), stored in found:
        payload = form(stored)
        out += [_HEAD.pack(x, y, z, len(payload)), payload]
    return b"".join(out)


async def frame_reply(volume: Volume, wanted: Box | Sequence[Triple], uncompressed: bool) -> Reply:
    """The frames of those of the wanted blocks (a box of them, or their names) that exist."""
    form = volume.codec.voxels if uncompressed else volume.codec.stored_form
    count = wanted.count if isinstance(wanted, Box) else len(wanted)
    if uncompressed and count <= NAMED and count * volume.codec.nbytes <= AT_HAND:
        found = await volume.values(list(wanted.points()) if isinstance(wanted, Box) else wanted)
        length = len(found) * (_HEAD.size + volume.codec.nbytes)
        return Reply(stream=_voxel_frames(volume, found), length=length)
    batches = volume.stored(wanted) if isinstance(wanted, Box) else volume.named(wanted)
    return Reply(stream=_frame_stream(volume, batches, form))


async def _voxel_frames(volume: Volume, found: list[Stored]) -> AsyncIterator[bytes]:
    codec = volume.codec
    for part in _parts(volume, found):
        if all(codec.is_raw(stored) for _, stored in part):
            yield frames(part, codec.voxels)
        else:
            yield await volume.view.run(frames, part, codec.voxels)


async def _frame_stream(
    volume: Volume, batches: AsyncIterator[list[Stored]], form: Callable[[Piece], Piece]
) -> AsyncIterator[bytes]:
    async for batch in batches:
        async for piece in pipelined((volume.view.run(frames, part, form) for part in _parts(volume, batch)), 2):
            yield piece


async def row_stream(volume: Volume, first: Triple, span: int) -> AsyncIterator[Piece]:
    """The voxels of `span` blocks along x from block `first`, one after another; `background` where none is."""
    codec, at, end = volume.codec, first[2], first[2] + span
    blank = bytes([volume.background]) * codec.nbytes
    async for batch in volume.stored(Box(first, (1, 1, span))):
        for part in _parts(volume, batch):
            for _, found in groupby(enumerate(part), lambda pair: pair[1][0][2] - pair[0]):
                row = [pair[1] for pair in found]
                for piece in _repeated(blank, row[0][0][2] - at):
                    yield piece
                quick = all(codec.is_raw(stored) for _, stored in row)
                yield _voxels(row, codec) if quick else await volume.view.run(_voxels, row, codec)
                at = row[-1][0][2] + 1
    for piece in _repeated(blank, end - at):
        yield piece


def _voxels(row: Sequence[Stored], codec: Codec) -> bytes:
    """A kernel: the voxels of blocks that lie side by side."""
    return b"".join([codec.voxels(stored) for _, stored in row])


def _repeated(blank: bytes, times: int) -> Iterator[bytes]:
    together = max(1, SLAB // len(blank))
    while times > 0:
        yield blank * min(times, together)
        times -= together


def _parts(volume: Volume, found: list[Stored]) -> Iterator[list[Stored]]:
    step = max(1, PIECE // volume.codec.nbytes)
    return (found[at : at + step] for at in range(0, len(found), step))
