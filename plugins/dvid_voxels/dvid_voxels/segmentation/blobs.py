"""Blobs that log records refer to by their content.

The core's `blobstore` serves them; here they are part of an edit's commit.
"""

from __future__ import annotations

import base64

import numpy as np

from dvid_core import Mutation

from .compiled import kernels

BLOB = b"\x03"
"""What the core's keys of blobs begin with; the hash of the content follows."""

LONGEST = 15 << 20
"""Bytes of a blob that a store takes as one value."""


def digest_of(data: bytes) -> bytes:
    """A kernel: the FNV-1 hash of 128 bits by which a blob is named.  Source: RFC 9923."""
    high, low = kernels().fnv128(np.frombuffer(data, np.uint8))
    return int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big")


def put_blob(m: Mutation, digest: bytes, data: bytes) -> str:
    """Store a blob with an edit, unless it is too long for that; returns its reference."""
    if len(data) <= LONGEST:
        m.put_stored(BLOB + digest, data)
    return base64.urlsafe_b64encode(digest).decode()
