"""References of blobs: the FNV-1 hash of 128 bits, big-endian, as URL-safe base64 with padding."""

from __future__ import annotations

import base64

PRIME = (1 << 88) + 0x13B
OFFSET = 0x6C62272E07BB014262B821756295C58D
MASK = (1 << 128) - 1


def blob_reference(data: bytes) -> bytes:
    """The FNV-1 (multiply, then xor) hash of `data`, 16 bytes.  Source: RFC 9923."""
    h = OFFSET
    for byte in data:
        h = h * PRIME & MASK ^ byte
    return h.to_bytes(16, "big")


def decode_reference(text: str) -> bytes:
    """The 16 bytes of a reference; `ValueError` when it is none."""
    digest = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    if len(digest) != 16 or base64.urlsafe_b64encode(digest).decode() != text:
        raise ValueError("a reference stands for 16 bytes")
    return digest
