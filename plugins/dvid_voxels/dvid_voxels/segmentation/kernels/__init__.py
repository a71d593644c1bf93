"""Compiled kernels; importing this compiles them or loads them from the cache (`dvid_voxels.labels.jit`)."""

from .bodies import set_rows

__all__ = ["set_rows"]
