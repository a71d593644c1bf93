"""Label blocks written into arrays."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import TRIPLES, inner, kernel
from .eights import fill8
from .memory import pointer, store64
from .reading import LAID, expand, line_of, pointers, value_of

I64 = types.int64


@inner
def fill_line(data, at, bits, pal, palette, line, out, place, step, x0, x1):
    """Voxels x0 to x1 of a line of a sub-block, x0 at byte `place` of `out`, `step` bytes apart."""
    if x1 - x0 == 8 and step == 8:
        if bits:
            expand(data, at, bits, pal, palette, line, out, place)
        else:
            fill8(out, place, palette[pal])
    elif bits == 0:
        for x in range(x1 - x0):
            store64(out, place + step * x, palette[pal])
    else:
        word = line_of(data, at, bits, line)
        for x in range(x0, x1):
            store64(out, place + step * (x - x0), palette[pal + value_of(data, at, bits, line, word, x)])


@kernel(types.void, *LAID, I64, I64, I64, TRIPLES, types.uint64[:, :, :])
def fill(data, bits, at, pal, palette, gz, gy, gx, first, out):
    """Each block's voxels, its first at first[b] (z, y, x) of `out`, as far as they are inside of it."""
    depth, rows, width = out.shape
    sz, sy, sx = out.strides
    to = pointer(out)
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    for b in range(len(first)):
        oz, oy, ox = first[b, 0], first[b, 1], first[b, 2]
        z0, z1 = max(0, -oz), min(8 * gz, depth - oz)
        y0, y1 = max(0, -oy), min(8 * gy, rows - oy)
        x0, x1 = max(0, -ox), min(8 * gx, width - ox)
        if x0 >= x1:
            continue
        for z in range(z0, z1):
            for y in range(y0, y1):
                line = (z & 7) * 8 + (y & 7)
                row = b * cells + ((z >> 3) * gy + (y >> 3)) * gx
                place = (oz + z) * sz + (oy + y) * sy + ox * sx
                for c in range(x0 >> 3, (x1 + 7) >> 3):
                    low, high = max(0, x0 - 8 * c), min(8, x1 - 8 * c)
                    cell = row + c
                    fill_line(
                        data, at[cell], np.int64(bits[cell]), pal[cell], palette, line, to,
                        place + (8 * c + low) * sx, sx, low, high,
                    )  # fmt: skip
