"""JSON lists of rows, read piece by piece."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core import BadRequest, Request
from dvid_voxels import rows
from dvid_voxels.rows import parse_rows, read_rows

INT32 = st.integers(-(2**31), 2**31 - 1)


class Pieces:
    """A body that comes in given pieces."""

    length = None

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def read(self, limit: int) -> bytes:
        return b"".join(self.pieces)[:limit]

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


class Here:
    """Stands for a view: runs kernels at once."""

    async def run(self, kernel: Any, *args: Any) -> Any:
        return kernel(*args)


async def read(data: bytes, width: int = 3, step: int = 7) -> list[list[int]]:
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    view: Any = Here()
    found = [part async for part in read_rows(view, Request("POST", [], body=Pieces(*pieces)), width)]
    return [row for part in found for row in part.tolist()]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PIECE", 64)


@pytest.mark.parametrize("indent", [None, 1])
async def test_a_long_list_comes_whole_and_in_order(small_pieces: None, indent: int | None) -> None:
    wanted = [[i, -i, 2**31 - 1 - i] for i in range(1000)]
    assert await read(json.dumps(wanted, indent=indent).encode()) == wanted
    assert await read(json.dumps(wanted, indent=indent).encode(), step=100_000) == wanted


@pytest.mark.parametrize("data", [b"[]", b" [ ] ", b"null", b"[\n]\n"])
async def test_an_empty_list_has_no_rows(data: bytes) -> None:
    assert await read(data) == []


GOOD = [[1, 2, 3]] * 40
TEXT = json.dumps(GOOD).encode()

WRONG = {
    "nothing": b"",
    "no list": b"{}",
    "a text": b'"abc"',
    "no end": TEXT[:-1],
    "an end too many": TEXT + b"]",
    "text behind": TEXT + b" x",
    "a second list": TEXT + TEXT,
    "no comma": TEXT.replace(b"], [", b"] [", 20),
    "two commas": TEXT.replace(b"], [", b"],, [", 20),
    "a comma at the end": TEXT[:-1] + b",]",
    "a comma at the start": b"[," + TEXT[1:],
    "an early end": TEXT.replace(b"], [", b"]], [", 20),
    "a number between": TEXT.replace(b"], [", b"], 5, [", 20),
    "a short row": TEXT[:-1] + b", [1, 2]]",
    "a long row": TEXT[:-1] + b", [1, 2, 3, 4]]",
    "a fraction": TEXT[:-1] + b", [1, 2, 3.5]]",
    "a number in a text": TEXT[:-1] + b', [1, 2, "3"]]',
    "a number beyond 32 bits": TEXT[:-1] + b", [1, 2, 2147483648]]",
    "a very long number": TEXT[:-1] + b", [1, 2, " + b"9" * 6000 + b"]]",
    "no list of lists": json.dumps([1] * 200).encode(),
    "blanks without end": b"[" + b" " * 5000 + TEXT[1:],
    "deep": b"[" * 100_000,
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("data", [pytest.param(v, id=k) for k, v in WRONG.items()])
async def test_anything_else_is_refused(small_pieces: None, data: bytes) -> None:
    with pytest.raises(BadRequest):
        await read(data)


async def test_what_is_refused_in_one_piece_is_refused_in_many() -> None:
    for name, data in WRONG.items():
        if name != "blanks without end":
            with pytest.raises(BadRequest):
                parse_rows(data, 3)


@given(st.lists(st.tuples(INT32, INT32, INT32, INT32)), st.integers(1, 90), st.sampled_from([None, 0, 3]))
@settings(deadline=None)
async def test_pieces_of_any_size_give_the_same(
    wanted: list[tuple[int, int, int, int]], step: int, indent: int | None
) -> None:
    data = json.dumps(wanted, indent=indent).encode()
    before, rows.PIECE = rows.PIECE, 256
    try:
        assert [tuple(r) for r in await read(data, 4, step)] == wanted
    finally:
        rows.PIECE = before


def test_rows_are_32_bit_numbers() -> None:
    found = parse_rows(b"[[1,2],[-3,2147483647]]", 2)
    assert found.dtype == np.int32
    assert found.tolist() == [[1, 2], [-3, 2147483647]]
