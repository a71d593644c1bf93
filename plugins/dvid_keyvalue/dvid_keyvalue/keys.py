"""Stored keys of keyvalue, and the keys of requests."""

from __future__ import annotations

from typing import Annotated

from dvid_core import TEXT, KeyClass, Param

KEY = KeyClass(1, "key", TEXT)

LONGEST = 7000
"""Bytes of UTF-8 that a key may have; engines take 8 KiB with escapes and version."""


def check_key(key: str) -> str:
    """`key` when it can be one, else `ValueError`."""
    if not key:
        raise ValueError("expected a key that is not empty")
    if key.isascii() and len(key) <= LONGEST // 2:
        return key
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise ValueError("expected a key in UTF-8") from None
    if size + key.count("\x00") > LONGEST:
        raise ValueError(f"expected a key of at most {LONGEST} bytes")
    return key


Key = Annotated[str, Param(check_key, "a key, percent-encoded")]


def key_of(tkey: bytes) -> str:
    """The key that a tkey of `KEY` stands for; the fast way for the usual case."""
    text = tkey[1:-2]
    return text.decode() if b"\x00" not in text else str(KEY.unpack(tkey)[0])
