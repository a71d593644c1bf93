"""Compressed label blocks: 64-bit labels of a block of voxels, and kernels that work on them without inflating them.

The format is DVID's (https://pkg.go.dev/github.com/janelia-flyem/dvid/datatype/common/labels#Block), which
neuclease and libdvid read and write too.  All numbers are little-endian; a block is cut into sub-blocks of
8 x 8 x 8 voxels, x fastest:

    uint32 gx, gy, gz              sub-blocks along x, y, z
    uint32 N                       entries of the label table, at least 1
    N x uint64                     the label table; a label may be there twice, unused, or 0
                                   with N = 1 nothing follows: all voxels are that label
    gx*gy*gz x uint16              per sub-block: n, how many table entries it uses, 0 to 512; 0 means all voxels are 0
    sum of n x uint32              per sub-block: its n entries, as indices into the table
    bits                           per sub-block with n >= 2: 512 values of b = ceil(log2 n) bits, each below n,
                                   x fastest, most significant bit first; no padding: 8 voxels along x are b bytes

Everything here is a kernel: blocking, over bytes and arrays, without the GIL where it takes time.  Conventions:

- arrays are (z, y, x) of uint64, C order unless strides are taken; sizes, offsets and points are z, y, x;
- the exception are *runs*, which are as the wire has them: int32 (n, 4) of x, y, z, length;
- a *block* argument is any contiguous bytes-like object; results are `bytes`;
- nothing is allocated for what a block merely claims, no bytes whatever make a function crash, hang or read outside of
  them: what is no label block of the expected size raises `BadBlock`, a ValueError that says what is wrong.  What comes
  from outside is checked with `check` or `examine`, which alone look at every voxel; the other functions check the
  structure and take values beyond a sub-block's entries as label 0.

The kernels are compiled by numba at first use: some 20 s, or less than a second once they are cached (in
NUMBA_CACHE_DIR, else beside the package, else in the user's cache; without a cache where nothing can be written).  So
call `warm()` in a thread at the start, and while `ready()` is false keep even small calls off the event loop.

    from dvid_voxels import labels
    labels.check(block, (64, 64, 64))
    found = labels.Blocks.of([((0, 0, 1), block), ((0, 0, 2), other)], (64, 64, 64))    # block coordinates z, y, x
    body_of = mapping(found.tables())                                                   # tables, never voxels
    data = labels.lz4_of(found.mapped(body_of), Box((0, 0, 100), (64, 64, 50)))
"""

from .block import (
    check,
    compact,
    counts,
    decode,
    decode_into,
    encode,
    encode_blocks,
    examine,
    label_at,
    labels_at,
    replace,
    split,
)
from .blocks import Blocks
from .form import BadBlock, Counts, is_solid, limit, relabel, size_of, solid, table, zero
from .loading import ready, warm
from .pyramid import downres
from .runs import LEAF, BadRuns, count_runs, fit_runs, leaves, parse_runs, runs, runs_by_block, sparse_blocks
from .stream import FrameReader, frame, gunzip, gzipped
from .volumes import Lz4Joiner, assemble, google, lz4_of, lz4_piece

__all__ = [
    "LEAF", "BadBlock", "BadRuns", "Blocks", "Counts", "FrameReader", "Lz4Joiner",
    "assemble", "check", "compact", "count_runs", "counts", "decode", "decode_into", "downres", "encode",
    "encode_blocks", "examine", "fit_runs", "frame", "google", "gunzip", "gzipped", "is_solid", "label_at",
    "labels_at", "leaves", "limit", "lz4_of", "lz4_piece", "parse_runs", "ready", "relabel", "replace", "runs",
    "runs_by_block", "size_of", "solid", "sparse_blocks", "split", "table", "warm", "zero",
]  # fmt: skip
