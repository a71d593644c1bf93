"""When the compiled kernels are loaded: at first use, or by `warm` in a thread at the start."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from dvid_voxels.segmentation import compiled


@cache
def kernels() -> Any:
    """The module of compiled kernels.  Blocks while it is loaded."""
    return importlib.import_module(f"{__package__}.kernels")


def loaded() -> Any:
    """The same, or None while it is not loaded: for calls that must not wait."""
    return kernels() if kernels.cache_info().currsize else None


def warm() -> None:
    """Load all kernels, those of label volumes too.  For a thread."""
    compiled.warm()
    kernels()
