"""Compiled kernels; importing this compiles them or loads them from the cache (`dvid_voxels.labels.jit`)."""

from .bodies import set_rows
from .coarse import coarse_frames
from .distance import nearest
from .hashing import fnv128
from .sequences import last_sequence

__all__ = ["coarse_frames", "fnv128", "last_sequence", "nearest", "set_rows"]
