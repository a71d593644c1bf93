"""Label blocks on their way out: as streams of frames."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import numpy as np

from .. import labels
from ..geometry import Box
from ..pipeline import pipelined
from ..volume import Stored
from .volume import Bodies, LabelVolume, Unpacker, is_gzip, together

Form = Literal["blocks", "uncompressed", "lz4", "gzip"]

INFLATED = 16 << 20
"""Bytes of voxels that one piece of a reply is made of."""


async def frame_stream(volume: LabelVolume, batches: AsyncIterator[list[Stored]], form: Form) -> AsyncIterator[bytes]:
    """The frames of batches of stored blocks, their payloads in a form."""
    z, y, x = volume.size
    step = 64 if form == "blocks" else max(1, INFLATED // (8 * z * y * x))
    async for batch in batches:
        parts = [batch[at : at + step] for at in range(0, len(batch), step)]
        async for piece in pipelined((volume.view.run(frames, p, volume.unpack, volume.seen, form) for p in parts), 2):
            yield piece


def frames(found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None, form: Form) -> bytes:
    """A kernel: the frames of stored blocks."""
    if form == "blocks":
        return b"".join(
            [labels.frame(at, payload) for at, payload in zip((at for at, _ in found), _blocks(found, unpack, seen))]
        )
    out = []
    blocks = together(found, unpack, seen)
    for at, _ in found:
        box = Box(at, (1, 1, 1)).voxels(unpack.size)
        if form == "lz4":
            payload = labels.lz4_of(blocks, box)
        else:
            payload = labels.assemble(blocks, box).tobytes()
            if form == "gzip":
                packer = zlib.compressobj(1, zlib.DEFLATED, 31)
                payload = packer.compress(payload) + packer.flush()
        out.append(labels.frame(at, payload))
    return b"".join(out)


def _blocks(found: Sequence[Stored], unpack: Unpacker, seen: Bodies | None) -> list[bytes | memoryview]:
    """gzip members of label blocks: as they are stored where nothing in them is mapped."""
    if seen is None or seen.empty:
        return [_gzip(stored) for _, stored in found]
    tables = [_table(stored, unpack) for _, stored in found]
    ends = np.cumsum([len(t) for t in tables])
    old = np.concatenate(tables)
    new = seen.bodies(old)
    moved = old != new
    out = []
    for (_, stored), start, end in zip(found, [0, *ends[:-1].tolist()], ends.tolist()):
        if moved[start:end].any():
            stored = labels.gzipped(labels.relabel(unpack(stored), new[start:end]))
        out.append(_gzip(stored))
    return out


def _gzip(stored: bytes | memoryview) -> bytes | memoryview:
    return stored if is_gzip(stored) else labels.gzipped(stored)


def _table(stored: bytes | memoryview, unpack: Unpacker) -> np.ndarray:
    """The table of a stored block, of which no more is inflated than is needed."""
    if not is_gzip(stored):
        return labels.table(stored)
    head = zlib.decompressobj(31).decompress(stored, 4096)
    need = 16 + 8 * int.from_bytes(head[12:16], "little")
    return labels.table(head if need <= len(head) else unpack(stored))
