"""`byte_start`, `byte_end` and the Range header in all combinations, beside what the contract says."""

from __future__ import annotations

import itertools
import re
from urllib.parse import urlencode

import pytest

from .pairs import Pairs

VALUE = bytes(range(40))
SIZE = len(VALUE)
NUMBERS = (None, "", "0", "7", "39", "40", "-1", "+1", "1.0", "x", "0x1", " 5", "1_0", "\uff17", "00", "9" * 30)
RANGES = (
    None, "bytes=0-0", "bytes=3-9", "bytes=0-39", "bytes=5-", "bytes=39-", "bytes=-4", "bytes=-40", "bytes=-400",
    "bytes=30-4000", "bytes=40-", "bytes=40-50", "bytes=-0", "bytes=0-1,3-4", "bytes=9-3", "bytes=", "bytes=-",
    "bytes=a-b",
    "bytes=+1-2", "bytes=1-x", "items=0-3", "0-3", "", "bytes 0-3", "bytes=1_0-20", "bytes=99999999999999999999-",
)  # fmt: skip


def by_options(start: str | None, end: str | None) -> bytes | None:
    """The part, None for a refusal."""
    if start is None and end is None:
        return VALUE
    if start is None or end is None or not re.fullmatch("[0-9]{1,20}", start) or not re.fullmatch("[0-9]{1,20}", end):
        return None
    return VALUE[int(start) : int(end) + 1] if int(start) <= int(end) < SIZE else None


def by_header(header: str) -> tuple[int, str | None, bytes]:
    """Status, Content-Range and body."""
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header)
    if match is None or not (match[1] or match[2]):
        return 200, None, VALUE
    if not match[1]:
        first, last = max(SIZE - int(match[2]), 0), SIZE - 1
    else:
        first, last = int(match[1]), min(int(match[2] or SIZE), SIZE - 1)
        if match[2] and int(match[1]) > int(match[2]):
            return 200, None, VALUE
    if first > last:
        return 416, f"bytes */{SIZE}", b""
    return 206, f"bytes {first}-{last}/{SIZE}", VALUE[first : last + 1]


def options(start: str | None, end: str | None) -> str:
    return urlencode({k: v for k, v in (("byte_start", start), ("byte_end", end)) if v is not None})


async def test_every_pair_of_byte_options(kv: Pairs) -> None:
    await kv.put("k", VALUE)
    for start, end in itertools.product(NUMBERS, NUMBERS):
        answer = await kv.ask("GET", f"key/k?{options(start, end)}")
        wanted = by_options(start, end)
        assert answer.status == (400 if wanted is None else 200), (start, end)
        if wanted is not None:
            assert answer.body == wanted
            assert answer.headers["Content-Length"] == str(len(wanted))
            assert "Content-Range" not in answer.headers
        elif start is not None and end is not None:
            assert "byte_" in answer.text


@pytest.mark.parametrize("header", [r for r in RANGES if r is not None])
async def test_every_range_header(kv: Pairs, header: str) -> None:
    await kv.put("k", VALUE)
    answer = await kv.ask("GET", "key/k", headers={"Range": header})
    status, place, body = by_header(header)
    assert (answer.status, answer.headers.get("Content-Range")) == (status, place)
    if status != 416:
        assert answer.body == body
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Length"] == str(len(body))


async def test_header_and_options_exclude_each_other(kv: Pairs) -> None:
    await kv.put("k", VALUE)
    for header in (r for r in RANGES if r):
        for start, end in ((None, "3"), ("0", None), ("0", "3"), ("x", "y")):
            answer = await kv.ask("GET", f"key/k?{options(start, end)}", headers={"Range": header})
            assert answer.status == 400


async def test_a_missing_key_is_404_whatever_the_options(kv: Pairs) -> None:
    for header, (start, end) in itertools.product(RANGES, itertools.product(NUMBERS[:9], repeat=2)):
        answer = await kv.ask("GET", f"key/none?{options(start, end)}", headers={"Range": header} if header else None)
        assert answer.status == 404
        assert "not found" in answer.text


async def test_head_takes_no_notice_of_parts(kv: Pairs) -> None:
    await kv.put("k", VALUE)
    for header, (start, end) in itertools.product(RANGES, (("x", "y"), ("0", "3"), (None, "9"), (None, None))):
        answer = await kv.ask("HEAD", f"key/k?{options(start, end)}", headers={"Range": header} if header else None)
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(SIZE))
        assert answer.headers["Accept-Ranges"] == "bytes"
    assert (await kv.ask("HEAD", "key/none?byte_start=x")).status == 404


async def test_of_repeated_options_the_first_counts_and_unknown_ones_do_not(kv: Pairs) -> None:
    await kv.put("k", VALUE)
    path = "key/k?byte_start=1&u=me&byte_start=9&app=x&byte_end=2&nonsense&a=b=c&&=&byte_end=0"
    assert await kv.demand("GET", path) == VALUE[1:3]
