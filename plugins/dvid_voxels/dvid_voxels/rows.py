"""JSON lists of rows of whole numbers, `[[z, y, x0, x1], ...]`, as arrays; read from a request piece by piece.

A body of millions of rows never stands in memory as Python numbers, of which a row takes some 200 bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Request, View

PIECE = 256 << 10
"""Bytes that are decoded at a time: the decoder holds the GIL for about 3 ms of them."""

INLINE = 8 << 10
"""Bytes that are decoded in less than a hop to a thread takes."""

BODY = 1 << 30
"""Bytes that a list may have."""

_BLANK = b" \t\r\n"

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


@cache
def _decoder(width: int) -> msgspec.json.Decoder[list[tuple[int, ...]] | None]:
    return msgspec.json.Decoder(list[tuple[(Int32,) * width]] | None)  # type: ignore[misc]


def parse_rows(data: bytes, width: int, what: str = "the body") -> NDArray[np.int32]:
    """A kernel: the rows of a JSON list of lists of `width` numbers within 32 bits; `null` is an empty list.

    Raises `BadRequest`.
    """
    try:
        rows = _decoder(width).decode(data) or []
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise BadRequest(f"{what} is no JSON list of lists of {width} whole numbers: {err}") from None
    flat = np.fromiter(chain.from_iterable(rows), np.int32, len(rows) * width)
    return flat.reshape(-1, width)


async def read_rows(
    view: View, request: Request, width: int, what: str = "the body"
) -> AsyncIterator[NDArray[np.int32]]:
    """The rows of the body, some at a time.  Raises `BadRequest` at the first that is wrong."""
    held = bytearray()
    total, begun = 0, False
    async for chunk in request.chunks():
        held += chunk
        total += len(chunk)
        if total > BODY:
            raise BadRequest(f"{what} has more than the {BODY} bytes that are taken here")
        while len(held) >= PIECE:
            # Only a comma and blanks can be between these two brackets, whatever else is wrong.
            end = held.rfind(b"]", 0, max(0, held.rfind(b"[", 0, PIECE))) + 1
            if not end:
                raise BadRequest(f"{what} is no JSON list of lists of {width} whole numbers")
            piece = bytes(held[:end])
            del held[:end]
            yield await _parse(view, _whole(piece, begun, False, what), width, what)
            begun = True
    piece = bytes(held)
    yield await _parse(view, _whole(piece, True, True, what) if begun else piece, width, what)


def _whole(piece: bytes, begun: bool, ended: bool, what: str) -> bytes:
    """A part of a list as a list of its own."""
    before, after = b"," if begun else b"[", b"]"
    inner = piece.strip(_BLANK)
    if not inner.startswith(before) or (ended and not inner.endswith(after)):
        raise BadRequest(f"{what} is no JSON list: there is something else between its rows, or behind them")
    return b"[" + inner[1:] + (b"" if ended else b"]")


async def _parse(view: View, data: bytes, width: int, what: str) -> NDArray[Any]:
    if len(data) <= INLINE:
        return parse_rows(data, width, what)
    return await view.run(parse_rows, data, width, what)
