"""Parts of a value: the Range header (RFC 9110) and the options byte_start and byte_end."""

from __future__ import annotations

import re

from dvid_core import BadRequest, LazyInt, RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def header_range(header: str, size: int) -> tuple[int, int] | None:
    """(start, stop) of a `Range: bytes=...` header for a value of `size` bytes.

    None when the header is to be ignored: several ranges, another unit, not numbers, or its end before its start.
    Raises `RangeNotSatisfiable` when no byte of the value is in it.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        count = min(int(last), size)
        if not count:
            raise RangeNotSatisfiable(f"Range: no byte of the {size} is in {header}", size)
        return size - count, size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable(f"Range: byte {start} is beyond the {size} bytes of the value", size)
    return start, min(int(last) + 1, size) if last else size


def option_range(start: LazyInt | None, end: LazyInt | None, size: int) -> tuple[int, int] | None:
    """(start, stop) of byte_start and byte_end, both of which are inside; None when neither is given."""
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise BadRequest("byte_start and byte_end must be given together")
    return checked_range(start.value("byte_start"), end.value("byte_end"), size)


def checked_range(first: int, last: int, size: int, whose: str = "") -> tuple[int, int]:
    """(start, stop) of the bytes first to last, both inside, of a value of `size` bytes; `whose` begins an error."""
    if first > last:
        raise BadRequest(f"{whose}byte_start: {first} is behind byte_end, {last}")
    if last >= size:
        raise BadRequest(f"{whose}byte_end: {last} is beyond the value, which has {size} bytes")
    return first, last + 1
