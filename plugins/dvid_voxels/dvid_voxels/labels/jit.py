"""`@kernel(...)`: a function compiled by numba when its module is imported, or loaded from the cache.

Imports numba, so only modules of kernels import it, and those are loaded late (`loading`).  A kernel releases the GIL
and is compiled for its one signature.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import types

config: Any = numba.core.config

F = TypeVar("F", bound=Callable[..., Any])

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
"""Bytes to read; writable arrays are taken too."""
OUT = types.Array(types.uint8, 1, "C")
LABELS = types.Array(types.uint64, 1, "C", readonly=True)
LONGS = types.Array(types.int64, 1, "C", readonly=True)
TRIPLES = types.Array(types.int64, 2, "C", readonly=True)
VOLUME = types.Array(types.uint64, 3, "A", readonly=True)
"""Voxels to read, with any strides."""

inner = cast("Callable[[F], F]", numba.njit(nogil=True, error_model="numpy", forceinline=True))
"""Decorates a small function of kernels, which becomes part of them."""
part = cast("Callable[[F], F]", numba.njit(nogil=True, error_model="numpy"))
"""Decorates a function that kernels call for much at a time, a sub-block at least."""


def kernel(returns: Any, *takes: Any) -> Callable[[F], F]:
    """Compile a function for arguments of these numba types."""

    def compiled(function: F) -> F:
        signature = returns(*takes)
        found: F
        try:
            with _cached():
                found = numba.njit(signature, nogil=True, error_model="numpy", cache=True)(function)
        except numba.core.errors.NumbaError:
            raise
        except Exception:
            # Nowhere to write, a full disk, files that someone cut: without a cache, then.
            found = numba.njit(signature, nogil=True, error_model="numpy")(function)
        return found

    return compiled


class Folder:
    """Where numba finds and keeps the kernels of a folder of sources; its methods are those that numba asks for.

    Compiled code has that of all functions it calls within it, while numba's own way looks only at the file of the
    kernel itself to see whether what is kept is out of date.  A folder that cannot be written is good too, when what is
    there is up to date: an image that was filled when it was made.
    """

    def __init__(self, path: Path, stamp: str, line: int) -> None:
        self.path, self.stamp, self.line = path, stamp, line

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Folder | None:
        """None where there is no such folder."""
        sources = Path(source).resolve().parent
        stamp = _stamp_of(sources)
        path = _folder_of(sources, stamp)
        return None if path is None else cls(path, stamp, function.__code__.co_firstlineno)

    def get_cache_path(self) -> str:
        return str(self.path)

    def get_source_stamp(self) -> str:
        return self.stamp

    def get_disambiguator(self) -> str:
        return str(self.line)

    def ensure_cache_path(self) -> None:
        """Called before something is kept."""
        (self.path / _STAMP).write_text(self.stamp)


_STAMP = "kernels.stamp"
"""The file that says of which sources the kernels in its folder are."""


@cache
def _stamp_of(sources: Path) -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in (Path(__file__), *sorted(sources.glob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@cache
def _folder_of(sources: Path, stamp: str) -> Path | None:
    """The first place that can be written or is up to date."""
    name = f"{sources.name}-{hashlib.sha256(str(sources).encode()).hexdigest()[:16]}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = [sources / "__pycache__", Path(home, "dvid", name)]
    if config.CACHE_DIR:
        places = [Path(config.CACHE_DIR, name)]
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError:
            try:
                if (place / _STAMP).read_text() == stamp:
                    return place
            except (OSError, ValueError):
                continue
    return None


@contextmanager
def _cached() -> Iterator[None]:
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = f"{__name__}.{Folder.__name__}"
    try:
        yield
    finally:
        config.CACHE_LOCATOR_CLASSES = before
