"""Sparse volumes on their way out: as runs, with or without a head, compressed or not, and as masks of blocks.

    rles      u8 0, u8 3 dimensions, u8 0 (runs along x), u8 0, u32 0, u32 n | n runs          LE
    srles     runs alone
    a run     int32 x, y, z of its first voxel, int32 length
    blocks    u32 gx, gy, gz sub-blocks of a block, u64 label | blocks, see `labels.sparse_blocks`

The head of rles has the number of runs, so a large volume waits in a file until it is whole (`Pile`): reading the
blocks twice to count would double the work, and voxels may change between.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol

import cramjam
import numpy as np
from isal import isal_zlib

from dvid_core import OCTETS, BadRequest, Piece, Reply, View

from .. import labels
from ..geometry import Box
from ..labels.stream import GZIP
from ..labels.volumes import Lz4Piece
from .body import Labels
from .compiled import kernels
from .sparse import PAGE, Sparse, masks_of, runs_of, triples
from .sparse_pile import SENT, Pile

RUN = 16
"""Bytes of a run."""

RUNS_HEAD = struct.Struct("<4B2I")
MASKS_HEAD = struct.Struct("<3IQ")

Compression = Literal["", "gzip", "lz4"]

NOTHING = Reply(b"", OCTETS)
"""The label exists, but none of its voxels is asked for."""


def runs_head(runs: int) -> bytes:
    """The head of rles."""
    if runs >= 1 << 32:
        raise BadRequest(f"{runs} runs are more than a head can say; ask for format=srles, or with bounds")
    return RUNS_HEAD.pack(0, 3, 0, 0, 0, runs)


async def rles_reply(sparse: Sparse, compression: Compression) -> Reply:
    """Runs with their head."""
    if len(sparse.blocks) <= PAGE:
        data = await sparse.page(triples(sparse.blocks), _small_rles, sparse.box, compression)
        return sent(data) if data else NOTHING
    pile = Pile(sparse.view.instance.server.spool_dir)
    try:
        async for runs in sparse.made(runs_of, sparse.box):
            await pile.put(sparse.view, runs)
        if not pile.nbytes:
            return NOTHING
        head = runs_head(pile.nbytes // RUN)
    except BaseException:
        await pile.drop(sparse.view)
        raise
    stream = _with_head(head, pile, sparse.view)
    if not compression:
        return Reply(content_type=OCTETS, stream=stream, length=len(head) + pile.nbytes)
    return Reply(content_type=OCTETS, stream=packed(stream, PACKERS[compression](), sparse.view))


async def _with_head(head: bytes, pile: Pile, view: View) -> AsyncIterator[bytes]:
    try:
        yield head
        async for piece in pile.pieces(view):
            yield piece
    finally:
        await pile.drop(view)


def _small_rles(found: labels.Blocks, chosen: Labels, box: Box | None, compression: Compression) -> bytes:
    """A kernel: a whole reply; nothing where there is no run."""
    runs = runs_of(found, chosen, box)
    if not len(runs):
        return b""
    data = b"".join((runs_head(len(runs) // RUN), runs))
    if compression == "gzip":
        return labels.gzipped(data)
    if compression == "lz4":
        return bytes(cramjam.lz4.compress_block(data, store_size=False))
    return data


def sent(data: bytes) -> Reply:
    """Bytes at hand; many go out in pieces."""
    if len(data) <= SENT:
        return Reply(data, OCTETS)
    return Reply(content_type=OCTETS, stream=_pieces(data), length=len(data))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), SENT):
        yield data[at : at + SENT]


async def srles_reply(sparse: Sparse) -> Reply:
    """Runs without a head."""
    return await _streamed(sparse, b"", runs_of, sparse.box)


async def blocks_reply(sparse: Sparse, label: int) -> Reply:
    """Masks of blocks; `label` is what was asked for."""
    z, y, x = (side // 8 for side in sparse.volume.size)
    return await _streamed(sparse, MASKS_HEAD.pack(x, y, z, label), masks_of)


async def _streamed(sparse: Sparse, head: bytes, kernel: Callable[..., Piece], *args: object) -> Reply:
    if len(sparse.blocks) <= PAGE:
        data = await sparse.page(triples(sparse.blocks), kernel, *args)
        return sent(b"".join((head, data))) if len(data) else NOTHING
    pages = sparse.made(kernel, *args)
    async for first in pages:
        if len(first):
            return Reply(content_type=OCTETS, stream=_pages(b"".join((head, first)), pages))
    return NOTHING


async def _pages(first: bytes, rest: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    yield first
    async for data in rest:
        if len(data):
            yield data


# -- compression


class Packer(Protocol):
    """Compresses a stream piece by piece; its methods are kernels."""

    def add(self, piece: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class GzipPacker:
    """One gzip member."""

    def __init__(self) -> None:
        self._packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP)

    def add(self, piece: bytes) -> bytes:
        """What comes next."""
        return bytes(self._packer.compress(piece))

    def end(self) -> bytes:
        """The rest."""
        return bytes(self._packer.flush())


class Lz4Packer:
    """One LZ4 block without a frame.

    Each piece is compressed alone; its last sequence, which by the format has literals only, becomes the beginning of
    the first sequence of the next.
    """

    def __init__(self) -> None:
        self._joiner = labels.Lz4Joiner()
        self._held = b""

    def add(self, piece: bytes) -> bytes:
        """What comes next."""
        before, self._held = self._held, piece
        return self._next(before, last=False) if before else b""

    def end(self) -> bytes:
        """The rest."""
        return self._next(self._held, last=True)

    def _next(self, piece: bytes, *, last: bool) -> bytes:
        block = bytes(cramjam.lz4.compress_block(piece, store_size=False))
        if last:
            return self._joiner.add(Lz4Piece(block, 0))
        start, text = kernels().last_sequence(np.frombuffer(block, np.uint8))
        return self._joiner.add(Lz4Piece(block[:start] + block[text:], len(block) - text))


PACKERS: dict[str, Callable[[], Packer]] = {"gzip": GzipPacker, "lz4": Lz4Packer}


async def packed(pieces: AsyncIterator[bytes], packer: Packer, view: View) -> AsyncIterator[bytes]:
    """A stream, compressed."""
    async for piece in pieces:
        data = await view.run(packer.add, piece)
        if data:
            yield data
    data = await view.run(packer.end)
    if data:
        yield data


__all__ = ["NOTHING", "Compression", "blocks_reply", "rles_reply", "runs_head", "sent", "srles_reply"]
