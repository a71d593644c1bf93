"""Boxes of voxels out of label blocks: as arrays, as LZ4, as Neuroglancer's compressed segmentation."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Triple
from .block import encode
from .blocks import Blocks
from .form import SUB
from .loading import kernels


def assemble(blocks: Blocks, box: Box) -> NDArray[np.uint64]:
    """The voxels of `box`: an array (z, y, x) of uint64, C order; 0 where no block is.

    `box` is in voxels of the blocks' scale and need not be aligned to anything.  It is the caller who bounds its size:
    8 bytes a voxel are allocated.  Raises `BadBlock`.
    """
    whole = blocks.which(box.blocks(blocks.size)).min(initial=0) >= 0
    out = (np.empty if whole else np.zeros)(box.size, np.uint64)
    blocks.fill(out, box.low)
    return out


def lz4_of(blocks: Blocks, box: Box) -> bytes:
    """The voxels of `box` (see `assemble`) as one raw LZ4 block (no frame, no size before it).

    The format is https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md.  The sequences are written straight from
    the label blocks, line by line, without an array of voxels in between: a match is either the voxel before (offset 8)
    or the line above.  Raises `BadBlock`.
    """
    return lz4_piece(blocks, box, last=True).data


class Lz4Piece(NamedTuple):
    """A part of an LZ4 block, for `Lz4Joiner`."""

    data: bytes
    """Whole sequences, then `tail` bytes of literals without a token."""
    tail: int


def lz4_piece(blocks: Blocks, box: Box, *, last: bool) -> Lz4Piece:
    """The voxels of `box`, one of several slabs that follow one another along z, as a part of an LZ4 block.

    Pieces can be made at the same time in several threads; `Lz4Joiner` puts them together in order.  `last` says that
    nothing follows.  Raises `BadBlock`.
    """
    near = box.blocks(blocks.size)
    z, y, x = (o - b * s for o, b, s in zip(box.low, near.low, blocks.size))
    if not len(blocks):
        return _zeros(box.count, last)
    data, tail = kernels().lz4(*blocks.laid(), *blocks.grid, blocks.which(near), z, y, x, *box.size, last)
    return Lz4Piece(data.tobytes(), int(tail))


def _zeros(voxels: int, last: bool) -> Lz4Piece:
    """One literal voxel, and the rest a match with it."""
    head, rest = bytes(8), 8 * (voxels - 1) - (8 if last else 0)
    if rest <= 0:
        return (
            Lz4Piece(_lengths(8 * voxels, -1)[0] + bytes(8 * voxels), 0)
            if last
            else Lz4Piece(head * voxels, 8 * voxels)
        )
    token, more = _lengths(8, rest - 4)
    data = token + head + b"\x08\x00" + more
    return Lz4Piece(data + b"\x80" + bytes(8), 0) if last else Lz4Piece(data, 0)


def _lengths(literals: int, match: int) -> tuple[bytes, bytes]:
    """A token with the literals' further length, and the match's; `match` is 4 less than the bytes, -1 for none."""
    token = bytes((min(literals, 15) << 4 | min(max(match, 0), 15),))
    return token + _more(literals), _more(match)


def _more(length: int) -> bytes:
    full, rest = divmod(length - 15, 255)
    return b"\xff" * full + bytes((rest,)) if length >= 15 else b""


class Lz4Joiner:
    """Puts pieces of an LZ4 block together, in order; at the end nothing is held back."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def add(self, piece: Lz4Piece) -> bytes:
        """What comes next of the block; the piece that was made as the last one ends it."""
        data, tail = piece
        if not self._held:
            cut = len(data) - tail
            self._held = [data[cut:]] if tail else []
            return data[:cut] if tail else data
        if len(data) == tail:
            self._held.append(data)
            return b""
        # Literals held back become part of the first sequence, so its token and length are written again.
        token, at, literals = data[0], 1, data[0] >> 4
        if literals == 15:
            while data[at] == 255:
                literals, at = literals + 255, at + 1
            literals, at = literals + data[at], at + 1
        before = b"".join(self._held)
        literals += len(before)
        head = bytes((min(literals, 15) << 4 | token & 15,)) + _more(literals)
        cut = len(data) - tail
        self._held = [data[cut:]] if tail else []
        return b"".join((head, before, data[at:cut]))


def google(blocks: Blocks, box: Box) -> bytes:
    """The voxels of `box` (see `assemble`) in Neuroglancer's compressed segmentation: one channel, 8 x 8 x 8, uint64.

    The format is https://github.com/google/neuroglancer/tree/master/src/sliceview/compressed_segmentation.  The box's
    sides are multiples of 8, else ValueError, also where there are more labels than the format can number (2^23 in its
    tables).  Where its offset is a multiple of 8 too, label blocks are transcoded without inflating them.  Raises
    `BadBlock`.
    """
    if any(side % SUB or side <= 0 for side in box.size):
        raise ValueError(f"compressed segmentation needs sides that are multiples of {SUB}, not (z, y, x) {box.size}")
    if any(o % SUB for o in box.low):
        whole: Triple = box.size
        blocks, box = Blocks.of([((0, 0, 0), encode(assemble(blocks, box)))], whole), Box((0, 0, 0), whole)
    near = box.blocks(blocks.size)
    first = [(o - b * s) // SUB for o, b, s in zip(box.low, near.low, blocks.size)]
    grid = [side // SUB for side in box.size]
    if not len(blocks):
        # Each sub-block: a table at word 2 * all, no bits, and that one entry.
        return _empty_google(prod(grid))
    code, words = kernels().google(*blocks.laid(), *blocks.grid, blocks.which(near), *first, *grid)
    if code:
        raise ValueError("too many different labels for compressed segmentation, whose tables hold 2^23 labels")
    out: bytes = words.tobytes()
    return out


def _empty_google(cells: int) -> bytes:
    words = np.zeros(1 + 2 * cells + 2, "<u4")
    words[0] = 1
    words[1 : 1 + 2 * cells] = 2 * cells
    return words.tobytes()
