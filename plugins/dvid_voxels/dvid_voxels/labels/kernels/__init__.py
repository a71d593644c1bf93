"""The compiled kernels; importing this compiles them or loads them from the cache (`loading`, `jit`)."""

from .counting import count, examine
from .filling import fill
from .google import google
from .lz4 import lz4
from .packing import compact, encode
from .points import label_at, labels_at
from .reading import lay
from .sparse import leaves, runs, sparse_blocks
from .splitting import split
from .voting import downres

__all__ = [
    "compact", "count", "downres", "encode", "examine", "fill", "google", "label_at", "labels_at", "lay",
    "leaves", "lz4", "runs", "sparse_blocks", "split",
]  # fmt: skip

LOADED = True
