"""When the compiled kernels are loaded: at first use, or by `warm` in a thread at the start."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from .. import labels


@cache
def kernels() -> Any:
    """The module of compiled kernels.  Blocks while it is loaded."""
    return importlib.import_module(f"{__package__}.kernels")


def warm() -> None:
    """Load all kernels, those of label blocks too.  For a thread."""
    labels.warm()
    kernels()
