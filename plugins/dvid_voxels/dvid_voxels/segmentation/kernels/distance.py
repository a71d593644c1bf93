"""Distances between the voxels of two labels.

The squared distance transform of P. Felzenszwalb and D. Huttenlocher, "Distance Transforms of Sampled Functions"
(2012): one axis after another, each line by the lower envelope of parabolas.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="assignment"

from __future__ import annotations

import numpy as np
from numba import types

from dvid_voxels.labels.jit import inner, kernel

FAR = 1 << 40
"""A squared distance that no block has."""

MASK = types.Array(types.uint8, 3, "C", readonly=True)


@inner
def transform(line, n, out, places, edges):
    """out[i] = the least line[j] + (i - j)^2; `places` and `edges` are room for n + 1."""
    k = -1
    for q in range(n):
        if line[q] >= FAR:
            continue
        while k >= 0:
            v = places[k]
            s = (line[q] + q * q - line[v] - v * v) / (2.0 * (q - v))
            if s > edges[k]:
                break
            k -= 1
        k += 1
        places[k] = q
        edges[k] = -1e18 if k == 0 else s
    if k < 0:
        for q in range(n):
            out[q] = FAR
        return
    last, k = k, 0
    for q in range(n):
        while k < last and edges[k + 1] < q:
            k += 1
        out[q] = line[places[k]] + (q - places[k]) * (q - places[k])


@kernel(types.int64, MASK, MASK)
def nearest(first, second):
    """The least squared distance between a voxel of one mask and one of the other, of the same size; FAR without."""
    nz, ny, nx = first.shape
    most = max(nz, ny, nx)
    far = np.empty((nz, ny, nx), np.int64)
    line, out = np.empty(most, np.int64), np.empty(most, np.int64)
    places, edges = np.empty(most + 1, np.int64), np.empty(most + 1, np.float64)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                line[x] = 0 if first[z, y, x] else FAR
            transform(line, nx, out, places, edges)
            for x in range(nx):
                far[z, y, x] = out[x]
        for x in range(nx):
            for y in range(ny):
                line[y] = far[z, y, x]
            transform(line, ny, out, places, edges)
            for y in range(ny):
                far[z, y, x] = out[y]
    best = FAR
    for y in range(ny):
        for x in range(nx):
            wanted = False
            for z in range(nz):
                line[z] = far[z, y, x]
                wanted = wanted or second[z, y, x] != 0
            if not wanted:
                continue
            transform(line, nz, out, places, edges)
            for z in range(nz):
                if second[z, y, x]:
                    best = min(best, out[z])
    return best
