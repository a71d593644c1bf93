"""Voxels of chosen labels, as runs and as bit masks; the chosen labels are those that are not 0."""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from ..jit import OUT, TRIPLES, inner, kernel, part
from .memory import load8, load64, ones, reversed_bits, store8, store32, store64, trailing
from .reading import LAID, line_of, pointers, value_of

I64 = types.int64


@inner
def mask_of(data, at, bits, pal, palette, line):
    """Which of a line's 8 voxels are chosen, the first in the lowest bit."""
    if bits == 0:
        return 255 if palette[pal] else 0
    if bits == 1:
        found = np.int64(reversed_bits(np.uint64(load8(data, at + line))) >> np.uint64(56))
        return (found if palette[pal + 1] else 0) | (255 - found if palette[pal] else 0)
    word = line_of(data, at, bits, line)
    mask = 0
    for x in range(8):
        mask |= np.int64(palette[pal + value_of(data, at, bits, line, word, x)] != 0) << x
    return mask


@inner
def any_of(bits, pal, palette):
    """Whether a sub-block may have a chosen voxel."""
    for k in range(1 << bits):  # noqa: SIM110
        if palette[pal + k]:
            return True
    return False


@part
def longer(out, used, more):
    """The same rows with room for more."""
    bigger = np.empty((2 * (used + more), 4), np.int32)
    bigger[:used] = out[:used]
    return bigger


@kernel(types.int32[:, ::1], *LAID, I64, I64, I64, TRIPLES, I64, I64, I64, I64, I64, I64)
def runs(data, bits, at, pal, palette, gz, gy, gx, places, zl, yl, xl, zh, yh, xh):
    """Runs (x, y, z, length) of chosen voxels; blocks that follow one another along x are taken together."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    out = np.empty((256, 4), np.int32)
    n = 0
    some = np.empty((gz, gy), np.bool_)
    b = 0
    while b < len(places):
        end = b + 1
        while (
            end < len(places)
            and places[end, 0] == places[b, 0]
            and places[end, 1] == places[b, 1]
            and places[end, 2] == places[end - 1, 2] + 1
        ):
            end += 1
        oz, oy, ox = 8 * gz * places[b, 0], 8 * gy * places[b, 1], 8 * gx * places[b, 2]
        z0, z1 = max(0, zl - oz), min(8 * gz, zh - oz)
        y0, y1 = max(0, yl - oy), min(8 * gy, yh - oy)
        across = (end - b) * gx
        c0, c1 = max(0, (xl - ox) >> 3), min(across, (xh - ox + 7) >> 3)
        # Which sub-blocks can have a chosen voxel at all: most cannot.
        may = np.zeros(gz * gy * across, np.bool_)
        for cz in range(gz):
            for cy in range(gy):
                some[cz, cy] = False
                for c in range(c0, c1):
                    cell = (b + c // gx) * cells + (cz * gy + cy) * gx + c % gx
                    if any_of(np.int64(bits[cell]), pal[cell], palette):
                        may[(cz * gy + cy) * across + c] = True
                        some[cz, cy] = True
        for z in range(z0, z1):
            for y in range(y0, y1):
                if not some[z >> 3, y >> 3]:
                    continue
                if n + 4 * across + 1 > len(out):
                    out = longer(out, n, 4 * across + 1)
                line = (z & 7) * 8 + (y & 7)
                row = ((z >> 3) * gy + (y >> 3)) * gx
                flags = ((z >> 3) * gy + (y >> 3)) * across
                begun = -1
                for k in range(c0 // gx, (c1 + gx - 1) // gx):
                    for c in range(max(0, c0 - k * gx), min(gx, c1 - k * gx)):
                        if begun < 0 and not may[flags + k * gx + c]:
                            continue
                        cell = (b + k) * cells + row + c
                        x = 8 * (k * gx + c)
                        mask = 0
                        if may[flags + k * gx + c]:
                            mask = mask_of(data, at[cell], np.int64(bits[cell]), pal[cell], palette, line)
                        if ox + x < xl:
                            mask &= -1 << (xl - ox - x)
                        if ox + x + 8 > xh:
                            mask &= (1 << (xh - ox - x)) - 1
                        if mask == (255 if begun >= 0 else 0):
                            continue
                        place = 0
                        while True:
                            rest = mask >> place if begun < 0 else (255 - mask) >> place
                            if rest == 0:
                                break
                            place += np.int64(trailing(np.uint64(rest)))
                            if begun < 0:
                                begun = x + place
                            else:
                                out[n, 0], out[n, 1] = ox + begun, oy + y
                                out[n, 2], out[n, 3] = oz + z, x + place - begun
                                n += 1
                                begun = -1
                if begun >= 0:
                    out[n, 0], out[n, 1] = ox + begun, oy + y
                    out[n, 2], out[n, 3] = oz + z, min(8 * c1, xh - ox) - begun
                    n += 1
        b = end
    return out[:n].copy()


@kernel(OUT, *LAID, I64, I64, I64, TRIPLES, types.boolean[::1])
def sparse_blocks(data, bits, at, pal, palette, gz, gy, gx, places, touched):
    """The chosen voxels of the touched blocks as flags and bit masks per sub-block."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    out = np.empty(4096, np.uint8)
    n = 0
    for b in range(len(places)):
        if not touched[b]:
            continue
        if n + 13 + 65 * cells > len(out):
            bigger = np.empty(2 * (n + 13 + 65 * cells), np.uint8)
            bigger[:n] = out[:n]
            out = bigger
        store32(out, n, 8 * gx * places[b, 2])
        store32(out, n + 4, 8 * gy * places[b, 1])
        store32(out, n + 8, 8 * gz * places[b, 0])
        out[n + 12] = 2
        to = n + 13
        none = full = 0
        for cell in range(b * cells, (b + 1) * cells):
            width = np.int64(bits[cell])
            every, either = 255, 0
            if width == 0 or not any_of(width, pal[cell], palette):
                every = either = 255 if width == 0 and palette[pal[cell]] else 0
            else:
                for line in range(64):
                    mask = mask_of(data, at[cell], width, pal[cell], palette, line)
                    store8(out, to + 1 + line, mask)
                    every &= mask
                    either |= mask
            if either == 0:
                out[to] = 0
                none += 1
            elif every == 255:
                out[to] = 1
                full += 1
            else:
                out[to] = 2
                to += 64
            to += 1
        if none == cells:
            continue
        if full == cells:
            out[n + 12] = 1
            to = n + 13
        n = to
    return out[:n]


@inner
def low_and_span(mask):
    """The lowest bit that is set, and how many bits further the highest is."""
    low = 0
    while not (mask >> low) & 1:
        low += 1
    high = 7
    while not (mask >> high) & 1:
        high -= 1
    return low, high - low


LEAF = 96
"""Bytes of what `leaves` writes for a sub-block, see `labels.leaves`."""


@kernel(OUT, *LAID, I64, I64, I64, TRIPLES)
def leaves(data, bits, at, pal, palette, gz, gy, gx, places):
    """The sub-blocks that have a chosen voxel, in the order of blocks and sub-blocks."""
    data, bits, at, pal, palette = pointers(data, bits, at, pal, palette)
    cells = gz * gy * gx
    out = np.empty(64 * LEAF, np.uint8)
    n = 0
    for b in range(len(places)):
        if n + LEAF * (cells + 1) > len(out):
            bigger = np.empty(2 * (n + LEAF * (cells + 1)), np.uint8)
            bigger[:n] = out[:n]
            out = bigger
        for k in range(cells):
            cell = b * cells + k
            width = np.int64(bits[cell])
            if not any_of(width, pal[cell], palette):
                continue
            either, rows, planes = 0, 0, 0
            for line in range(64):
                mask = mask_of(data, at[cell], width, pal[cell], palette, line)
                store8(out, n + 16 + line, mask)
                if mask:
                    either |= mask
                    rows |= 1 << (line & 7)
                    planes |= 1 << (line >> 3)
            if either == 0:
                continue
            x, wide = low_and_span(either)
            y, high = low_and_span(rows)
            z, deep = low_and_span(planes)
            store32(out, n, 8 * (gx * places[b, 2] + k % gx) + x)
            store32(out, n + 4, 8 * (gy * places[b, 1] + k // gx % gy) + y)
            store32(out, n + 8, 8 * (gz * places[b, 0] + k // gx // gy) + z)
            store32(out, n + 12, wide | high << 8 | deep << 16)
            total, sums = np.uint64(0), np.uint64(0)
            for word in range(8):
                total += ones(load64(out, n + 16 + 8 * word))
                if word < 7:
                    sums |= total << np.uint64(9 * word)
            store64(out, n + 80, total)
            store64(out, n + 88, sums)
            n += LEAF
    return out[:n].copy()
