"""Volumes in Neuroglancer's precomputed format as stores of blocks."""

from __future__ import annotations

from collections.abc import Sequence

from dvid_core import Store, hookimpl

from .store import PrecomputedStore

__all__ = ["PrecomputedStore", "dvid_stores"]


@hookimpl
def dvid_stores() -> Sequence[type[Store]]:
    return [PrecomputedStore]
