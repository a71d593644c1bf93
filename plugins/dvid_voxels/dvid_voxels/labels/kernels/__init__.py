"""The compiled kernels; importing this compiles them or loads them from the cache (`loading`, `jit`)."""

from .filling import fill
from .google import google
from .lz4 import lz4
from .packing import compact, encode
from .reading import count, examine, label_at, labels_at, lay
from .sparse import runs, sparse_blocks
from .splitting import split
from .voting import downres

__all__ = [
    "compact", "count", "downres", "encode", "examine", "fill", "google", "label_at", "labels_at", "lay", "lz4",
    "runs", "sparse_blocks", "split",
]  # fmt: skip

LOADED = True
