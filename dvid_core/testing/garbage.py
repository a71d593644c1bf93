"""`GARBAGE`: bodies that no endpoint expects, or that are meant for another one."""

from __future__ import annotations

BROKEN_JSON = (
    b"",
    b"\x00",
    b" ",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"\\ud800": "\\u0000"}',
    b"1e999",
    b"1" * 5000,
)
JSON = (b"{}", b"[]", b"[[]]", b"null", b'"text"', b"0", b"-1", b"[1]", b'{"a": 1}', b'[{"a": [null]}]')
BINARY = (
    b"\xff" * 100,
    bytes(1000),
    bytes(range(256)),
    b"\x1f\x8b\x08\x00" + bytes(20),  # the head of a gzip file
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",  # 2^63 as a protobuf number
    b"\x0a\xff\xff\xff\xff\x0f",  # a protobuf field of 4 GiB
)
GARBAGE: tuple[bytes, ...] = (*BROKEN_JSON, *JSON, *BINARY)
