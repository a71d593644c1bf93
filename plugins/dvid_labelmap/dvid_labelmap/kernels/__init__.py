"""Compiled kernels; importing this compiles them or loads them from the cache (`dvid_voxels.labels.jit`)."""

from .lookup import look_up
from .reading import read_indices, read_mappings
from .writing import write_indices, write_stored

__all__ = ["look_up", "read_indices", "read_mappings", "write_indices", "write_stored"]
