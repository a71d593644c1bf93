"""`Source`: a volume that lies in files.  Arrays are z, y, x."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest

from ..geometry import Box, Triple

Array = NDArray[Any]

RGBA = "rgba8"
"""The kind of voxels that are red, green, blue and alpha, 8 bits each; all other kinds are names of numpy dtypes."""


class BadSource(BadRequest):
    """Raised when files cannot be loaded; one sentence that says which and why."""


class Source(ABC):
    """A volume of one kind of voxels.  Methods block."""

    name: str
    """What it is, for people."""
    shape: Triple
    kind: str
    """uint8, uint16, ..., float32, or `RGBA`."""
    sections: bool
    """Whether it lies in whole sections, so that it is best read one z after another."""
    origin: Triple = (0, 0, 0)
    """Where its first voxel lies by its own word."""

    @property
    @abstractmethod
    def stamp(self) -> str:
        """A text that is another one when the files have changed."""

    @abstractmethod
    def read(self, box: Box) -> Array:
        """The voxels of a box within the volume, (z, y, x) of `kind`, or (z, y, x, 4) of u1.  Raises `BadSource`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""


def library(name: str, what: str) -> Any:
    """A library of the extra `load`.  Raises `BadSource` saying how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise BadSource(f"{what} needs the library {name}: pip install 'dvid-voxels[load]'") from None


def check_kind(source: str, wanted: str) -> None:
    """Raise `BadSource` unless every voxel of one kind is a voxel of the other."""
    if source == wanted or (RGBA not in (source, wanted) and np.can_cast(source, wanted, "safe")):
        return
    raise BadSource(f"voxels of {source} cannot be loaded as {wanted} without loss")


def item_of(kind: str) -> np.dtype[Any]:
    """One voxel as an opaque little-endian item."""
    return np.dtype("<u4") if kind == RGBA else np.dtype(f"<u{np.dtype(kind).itemsize}")


def fitted(voxels: Array, kind: str) -> Array:
    """Voxels as `Source.read` gives them, as little-endian items (z, y, x) of another kind."""
    if kind == RGBA:
        return np.ascontiguousarray(voxels).view("<u4")[..., 0]
    return np.ascontiguousarray(voxels, np.dtype(kind).newbyteorder("<")).view(item_of(kind))
