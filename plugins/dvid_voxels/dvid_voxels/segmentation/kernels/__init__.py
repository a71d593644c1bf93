"""Compiled kernels; importing this compiles them or loads them from the cache (`dvid_voxels.labels.jit`)."""

from .bodies import set_rows
from .distance import nearest
from .hashing import fnv128
from .sequences import last_sequence

__all__ = ["fnv128", "last_sequence", "nearest", "set_rows"]
