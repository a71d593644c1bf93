"""Routes as values: method, path, handler.  Dispatch, parsing, help and the OpenAPI document derive from them.

    ROUTES = (
        get("key/{key}", get_key, query=KeyQuery),
        post("ptquery", point_query, mutates=False),     # reads although it is a POST
    )

    async def get_key(view: View, request: Request, key: str, query: KeyQuery) -> Reply:
        '''The value of <key>.'''

A handler takes what it names: `server`, `repo`, `node`, `view`, `request`, `query` (an instance of the route's
query Struct) and the path's parameters, parsed by their annotations.  A parameter with a default may be missing in
the path.  Parts beyond the pattern are ignored.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from .errors import BadRequest
from .requests import Reply

Handler = Callable[..., Awaitable[Reply]]

CONTEXT = ("server", "repo", "node", "view", "request", "query")


class Param(msgspec.Struct, frozen=True, eq=False):
    """How a text of the path or the query becomes a value: put in `Annotated[T, Param(...)]`.

    `parse` raises `ValueError` saying what was expected.
    """

    parse: Callable[[str], Any]
    about: str = ""
    schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})


class About(msgspec.Struct, frozen=True):
    """A description of a query option that is parsed by its type: `Annotated[int, About("...")]`."""

    text: str


_INT = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_FLOAT = re.compile(r"-?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,3})?", re.ASCII)


def parse_int(text: str) -> int:
    """A decimal integer of at most 19 ASCII digits."""
    if not _INT.fullmatch(text):
        raise ValueError("expected a whole number")
    return int(text)


def parse_uint64(text: str) -> int:
    """A decimal integer from 0 to 2^64-1."""
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII) or int(text) >= 2**64:
        raise ValueError("expected a whole number from 0 to 2^64-1")
    return int(text)


def parse_float(text: str) -> float:
    """A finite decimal number."""
    if not _FLOAT.fullmatch(text) or abs(value := float(text)) == float("inf"):
        raise ValueError("expected a finite number")
    return value


def parse_vec3(text: str) -> tuple[int, int, int]:
    """Three integers joined by underscores (commas are taken too), each within 32 bits."""
    parts = re.split("[_,]", text)
    if len(parts) != 3 or not all(_INT.fullmatch(p) and -(2**31) <= int(p) < 2**31 for p in parts):
        raise ValueError("expected three whole numbers joined by '_', such as 64_64_64")
    x, y, z = (int(p) for p in parts)
    return x, y, z


Vec3 = Annotated[
    tuple[int, int, int],
    Param(parse_vec3, "three whole numbers x_y_z", {"type": "string", "pattern": "^-?[0-9]+_-?[0-9]+_-?[0-9]+$"}),
]
Uint64 = Annotated[int, Param(parse_uint64, "a whole number from 0 to 2^64-1", {"type": "integer", "minimum": 0})]
Flag = Annotated[
    bool,
    Param(lambda t: t == "true", "taken only with the value `true`", {"type": "string", "enum": ["true", "false"]}),
]
Switch = Annotated[
    bool, Param(lambda t: t in ("on", "true"), "`on` or `true`", {"type": "string", "enum": ["on", "true", "off"]})
]


class LazyInt:
    """A number that is checked when it is used, for options whose error comes after others."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def value(self, name: str) -> int:
        """The number; `BadRequest` naming the option when it is none from 0 to 2^63-1."""
        if not re.fullmatch(r"[0-9]{1,18}", self.text, re.ASCII):
            raise BadRequest(f"{name}: expected a whole number, got {self.text[:40]!r}")
        return int(self.text)


LazyNumber = Annotated[LazyInt, Param(LazyInt, "a whole number", {"type": "integer", "minimum": 0})]


def param_of(kind: Any) -> tuple[Param, str]:
    """The parser of an annotation, and its description."""
    about = ""
    if typing.get_origin(kind) is Annotated:
        inner, *notes = typing.get_args(kind)
        about = next((n.text for n in notes if isinstance(n, About)), "")
        given = next((n for n in notes if isinstance(n, Param)), None)
        if given is not None:
            return given, about or given.about
        kind = inner
    if isinstance(kind, Param):
        return kind, kind.about
    args = typing.get_args(kind)
    if type(None) in args:
        inner = [a for a in args if a is not type(None)]
        found, text = param_of(inner[0])
        return found, about or text
    if kind is str:
        return Param(str), about
    if kind is int:
        return Param(parse_int, schema={"type": "integer"}), about
    if kind is float:
        return Param(parse_float, schema={"type": "number"}), about
    if kind is bool:
        return param_of(Flag)[0], about
    if typing.get_origin(kind) is Literal:
        return Param(_literal(args), schema={"type": "string", "enum": list(args)}), about
    raise TypeError(f"no parser for a path or query value of type {kind!r}")


def _literal(values: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"expected one of {', '.join(values)}")
        return text

    return parse


class Option(msgspec.Struct, frozen=True):
    """One query option: its name on the wire and in the Struct, its parser and description."""

    name: str
    attribute: str
    param: Param
    about: str
    default: Any


class QueryParser:
    """Makes a query Struct of the options of a request; unknown ones are ignored."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        hints = typing.get_type_hints(kind, include_extras=True)
        options = []
        for f in msgspec.structs.fields(kind):
            if f.required:
                raise TypeError(f"{kind.__name__}.{f.name}: a query option needs a default")
            param, about = param_of(hints[f.name])
            if not about:
                raise TypeError(f"{kind.__name__}.{f.name}: a query option needs About(...)")
            options.append(Option(f.encode_name, f.name, param, about, f.default))
        self.kind, self.options, self.default = kind, tuple(options), kind()

    def parse(self, query: Mapping[str, str]) -> msgspec.Struct:
        """The Struct; `BadRequest` names the option that is wrong."""
        if not query:
            return self.default
        values = {}
        for o in self.options:
            text = query.get(o.name)
            if text is not None:
                try:
                    values[o.attribute] = o.param.parse(text)
                except ValueError as err:
                    raise BadRequest(f"{o.name}: {err}, got {text[:80]!r}") from None
        return self.kind(**values)


class Route:
    """One method and path of the API; made by `get`, `post`, `put`, `delete`, `head`."""

    __slots__ = (
        "_given", "about", "admin", "example", "handler", "literals", "method", "mutates", "needs", "params", "pattern",
        "query", "summary", "word",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        pattern: str,
        handler: Handler,
        *,
        query: type[msgspec.Struct] | None = None,
        mutates: bool | None = None,
        admin: bool = False,
    ) -> None:
        doc = inspect.getdoc(handler)
        if not doc:
            raise TypeError(f"{method} {pattern}: the handler {handler.__name__} needs a docstring, it is the help")
        self.method, self.pattern, self.handler = method, pattern, handler
        self.mutates = method not in ("GET", "HEAD") if mutates is None else mutates
        self.admin = admin
        self.about, self.summary = doc, doc.split("\n\n")[0].replace("\n", " ")
        self.query = QueryParser(query) if query is not None else None
        words = pattern.split("/")
        self.word = words[0]
        self.literals = [(i, w) for i, w in enumerate(words) if not w.startswith("{")]
        if not self.literals or self.literals[0][0] != 0:
            raise TypeError(f"{method} {pattern}: a pattern begins with a fixed word")
        hints = typing.get_type_hints(handler, include_extras=True)
        signature = inspect.signature(handler).parameters
        self.params: list[tuple[int, str, Param, Any, str]] = []
        self.needs = tuple(n for n in signature if n in CONTEXT)
        self._given = tuple(n for n in self.needs if n != "query")
        places = {w.strip("{}"): i for i, w in enumerate(words) if w.startswith("{")}
        for name, p in signature.items():
            if name in CONTEXT:
                continue
            if name not in places:
                raise TypeError(f"{method} {pattern}: the handler wants {name!r}, which is not in the path")
            param, about = param_of(hints[name])
            self.params.append((places.pop(name), name, param, p.default, about))
        if places:
            raise TypeError(f"{method} {pattern}: the handler does not take {', '.join(places)}")
        if ("query" in self.needs) != (self.query is not None):
            raise TypeError(f"{method} {pattern}: the handler and the route disagree about a query")

    def fits(self, parts: list[str]) -> bool:
        """Whether the pattern's fixed words are in these parts (the route's own word first)."""
        if len(self.literals) == 1:
            return True  # the route's own word, by which it was found
        return all(i < len(parts) and parts[i] == w for i, w in self.literals)

    def takes(self, count: int) -> bool:
        """Whether a path of `count` parts is neither too short nor longer than the pattern."""
        optional = sum(1 for *_, default, _ in self.params if default is not inspect.Parameter.empty)
        length = self.pattern.count("/") + 1
        return length - optional <= count <= length

    def patterns(self) -> list[str]:
        """The pattern, and what is left of it without its optional parts, longest first."""
        words = self.pattern.split("/")
        optional = {i for i, _, _, default, _ in self.params if default is not inspect.Parameter.empty}
        out = [self.pattern]
        while len(words) - 1 in optional:
            words.pop()
            out.append("/".join(words))
        return out

    def arguments(self, parts: list[str], context: Mapping[str, Any]) -> dict[str, Any]:
        """The handler's arguments.  Raises `BadRequest` naming the part that is missing or wrong."""
        args = {n: context[n] for n in self._given}
        for i, name, param, default, _ in self.params:
            text = parts[i] if i < len(parts) else ""
            if not text:
                if default is inspect.Parameter.empty:
                    raise BadRequest(f"{name}: missing in the path; expected {self.pattern}")
                args[name] = default
                continue
            try:
                args[name] = param.parse(text)
            except ValueError as err:
                raise BadRequest(f"{name}: {err}, got {text[:80]!r}") from None
        if self.query is not None:
            args["query"] = self.query.parse(context["request"].query)
        return args

    def __repr__(self) -> str:
        return f"Route({self.method} {self.pattern})"


def get(pattern: str, handler: Handler, **options: Any) -> Route:
    """A GET route; HEAD runs it without its body unless the table has a `head` of the same word."""
    return Route("GET", pattern, handler, **options)


def head(pattern: str, handler: Handler, **options: Any) -> Route:
    """A HEAD route of its own."""
    return Route("HEAD", pattern, handler, **options)


def post(pattern: str, handler: Handler, **options: Any) -> Route:
    """A POST route; it mutates unless told otherwise."""
    return Route("POST", pattern, handler, **options)


def put(pattern: str, handler: Handler, **options: Any) -> Route:
    """A PUT route; it mutates unless told otherwise."""
    return Route("PUT", pattern, handler, **options)


def delete(pattern: str, handler: Handler, **options: Any) -> Route:
    """A DELETE route; it mutates unless told otherwise."""
    return Route("DELETE", pattern, handler, **options)


class RouteTable:
    """Routes found by method and first word; a second route of the same two is an error."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._table: dict[tuple[str, str], Route] = {}
        for route in self.routes:
            if (route.method, route.word) in self._table:
                raise ValueError(f"two routes for {route.method} {route.word}")
            self._table[route.method, route.word] = route

    def find(self, method: str, word: str) -> Route | None:
        """The route of this method and first word; HEAD falls back to GET."""
        route = self._table.get((method, word))
        if route is None and method == "HEAD":
            route = self._table.get(("GET", word))
        return route

    def methods(self, word: str) -> list[str]:
        """The methods that this first word takes."""
        return [m for m, w in self._table if w == word]
