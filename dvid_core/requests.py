"""What a handler gets and gives: `Request` and `Reply`, free of any web framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from .errors import BadRequest

OCTETS = "application/octet-stream"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

BODY_LIMIT = 256 << 20
"""Bytes of a body that a handler reads whole, unless it asks for another limit."""

T = TypeVar("T")


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the options `u` and `app`, whether the admin's rights were proven, and the peer's address."""

    user: str = ""
    app: str = ""
    admin: bool = False
    address: str = ""


SYSTEM = Caller(user="", app="dvid", admin=True)
"""The server itself."""


class Body(Protocol):
    """The bytes that come with a request."""

    @property
    def length(self) -> int | None:
        """What Content-Length claims; None for a chunked body."""
        ...

    async def read(self, limit: int) -> bytes:
        """All of it; `BadRequest` beyond `limit` bytes."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Its pieces as they come."""
        ...


class Request:
    """One request as a handler sees it."""

    __slots__ = ("_query", "body", "caller", "headers", "method", "parts", "query_string", "uuid")

    def __init__(
        self,
        method: str,
        parts: list[str],
        *,
        query_string: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body,
        caller: Caller = Caller(),
        uuid: str = "",
    ) -> None:
        self.method = method
        self.parts = parts
        """The decoded parts of the path behind the instance's name (data routes) or the route's base."""
        self.query_string = query_string
        self.headers = headers or {}
        self.body = body
        self.caller = caller
        self.uuid = uuid
        """The version as the path names it."""
        self._query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The options of the query string; of repeated ones the first counts."""
        if self._query is None:
            self._query = parse_query_string(self.query_string)
        return self._query

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body; `BadRequest` when it is longer than `limit` bytes."""
        return await self.body.read(limit)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, for bodies that must not be in memory whole."""
        return self.body.chunks()

    async def json(self, kind: type[T] | Any = Any, *, limit: int = BODY_LIMIT) -> T:
        """The body as JSON of type `kind`; `BadRequest` names the place that is wrong."""
        value: T = parse_json(await self.read(limit), kind)
        return value

    async def json_object(self, *, empty: bool = False) -> dict[str, Any]:
        """The body as a JSON object; with `empty` a missing body counts as {}."""
        data = await self.read(16 << 20)
        if empty and not data.strip():
            return {}
        value = parse_json(data, Any)
        if not isinstance(value, dict):
            raise BadRequest("the body must be a JSON object")
        return value


def parse_query_string(text: str) -> dict[str, str]:
    """Options by name; of repeated ones the first counts."""
    if not text:
        return {}
    out: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        out.setdefault(key, value)
    return out


def parse_json(data: bytes, kind: Any = Any, what: str = "the body") -> Any:
    """Decode JSON.  Raises `BadRequest` for anything that is not `kind`, however it is broken or nested."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise BadRequest(f"{what} is no JSON as expected here: {err}") from None


Piece = bytes | memoryview
"""A part of a streamed reply."""


class Reply:
    """What is sent back: bytes, or a stream of them with its length when it is known.

    A stream yields `bytes` or memory views of them; its first item is asked for before the head is sent, so an error
    raised until then becomes a proper error reply; later ones cut the connection.
    """

    __slots__ = ("body", "content_type", "headers", "length", "status", "stream")

    def __init__(
        self,
        body: bytes = b"",
        content_type: str | None = OCTETS,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        stream: AsyncIterator[Piece] | None = None,
        length: int | None = None,
    ) -> None:
        self.body, self.content_type, self.status, self.headers = body, content_type, status, headers
        self.stream, self.length = stream, length

    @classmethod
    def json(cls, value: Any, *, status: int = 200) -> Reply:
        """`value` as compact JSON."""
        return cls(msgspec.json.encode(value), JSON, status=status)

    @classmethod
    def text(cls, value: str, *, status: int = 200) -> Reply:
        """Plain text."""
        return cls(value.encode(errors="replace"), TEXT, status=status)


EMPTY = Reply(b"", None)
"""200 without content, what a successful write answers."""
