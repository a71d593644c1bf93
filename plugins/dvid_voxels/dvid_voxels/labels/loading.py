"""When the compiled kernels are loaded: at first use, or by `warm` in a thread at the start."""

from __future__ import annotations

import importlib
import secrets
import sys
from functools import cache
from typing import Any

_NAME = f"{__package__}.kernels"

KEY = secrets.randbits(64)
"""Of this process's hash tables of labels."""


@cache
def kernels() -> Any:
    """The module of compiled kernels.  Blocks while it is loaded, in whichever thread that began."""
    return importlib.import_module(_NAME)


def warm() -> None:
    """Load all kernels: half a second where they are cached, else some 20 s of compiling.  For a thread."""
    kernels()


def ready() -> bool:
    """Whether all kernels are loaded, so that a call costs its work alone."""
    module = sys.modules.get(_NAME)
    return module is not None and getattr(module, "LOADED", False)
