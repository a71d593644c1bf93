"""`@kernel(signature)`: a function compiled by numba when its module is imported, or loaded from numba's cache.

Imports numba, so only modules of kernels import it, and those are loaded late (`loading`).

A kernel releases the GIL and is compiled for its one signature.  Compiled code has that of the kernels it calls within
it, while numba looks only at a kernel's own file to see whether a cached one is out of date; so the cache is kept in a
folder whose name is a digest of all sources beside the kernel.  Where no such folder can be written, kernels are
compiled at each start.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types
from numba.core import config

F = TypeVar("F", bound=Callable[..., Any])

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
"""Bytes to read; writable arrays are taken too."""
OUT = types.Array(types.uint8, 1, "C")
LABELS = types.Array(types.uint64, 1, "C", readonly=True)
LONGS = types.Array(types.int64, 1, "C", readonly=True)
TRIPLES = types.Array(types.int64, 2, "C", readonly=True)
VOLUME = types.Array(types.uint64, 3, "A", readonly=True)
"""Voxels to read, with any strides."""

inner: Callable[[F], F] = numba.njit(nogil=True, error_model="numpy", forceinline=True)
"""Decorates a small function of kernels.  It becomes part of them: a call counts references to each array up and down,
with atomic instructions, which made packing three times as slow."""
part: Callable[[F], F] = numba.njit(nogil=True, error_model="numpy")
"""Decorates a function that kernels call for much at a time, a sub-block at least."""


def kernel(returns: Any, *takes: Any) -> Callable[[F], F]:
    """Compile a function for arguments of these numba types."""

    def compiled(function: F) -> F:
        signature = returns(*takes) if returns is not None else types.void(*takes)
        folder = _folder(Path(function.__code__.co_filename).parent)
        if folder is not None:
            try:
                with _cached_in(folder):
                    found: F = numba.njit(signature, nogil=True, error_model="numpy", cache=True)(function)
                    return found
            except numba.core.errors.NumbaError:
                raise
            except Exception:
                # A full disk, a cache that someone cut or took away: without it, then.
                pass
        plain: F = numba.njit(signature, nogil=True, error_model="numpy")(function)
        return plain

    return compiled


@contextmanager
def _cached_in(folder: str) -> Iterator[None]:
    before = config.CACHE_DIR
    config.CACHE_DIR = folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


@cache
def _folder(sources: Path) -> str | None:
    """Where the kernels of a folder of sources are cached: the first place that can be written."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in (Path(__file__), *sorted(sources.glob("*.py"))):
        digest.update(source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    given = config.CACHE_DIR
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = [Path(given)] if given else [sources / "__pycache__", Path(home) / "dvid"]
    for place in places:
        try:
            (place / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place / name):
                return str(place / name)
        except OSError:
            continue
    return None
