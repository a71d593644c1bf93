"""JSON schemas that posted objects must satisfy.

A schema comes from users, so what it can cost is bounded before it is used: it refers to nothing outside itself, not to
itself in a circle, and unfolds to a limited size.  Then checking an object takes time in proportion to that size and
the object's.  Patterns run in linear time.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from dvid_core import BadRequest, parse_json

from .values import DEEPEST

LARGEST_TEXT = 1 << 20
LARGEST_UNFOLDED = 20_000
"""Subschemas, counted as often as they are referred to."""
MOST_WORK = 20_000_000
"""Subschemas times values in an object: some 0.2 s."""
DATA = frozenset(("enum", "const", "default", "examples"))
"""Keywords whose values are no schemas."""
ELSEWHERE = frozenset(("$dynamicRef", "$recursiveRef"))


class Validator:
    """A compiled schema."""

    def __init__(self, schema: Any) -> None:
        """Raises `BadRequest` when it is no valid schema, or one that could cost too much."""
        if not isinstance(schema, (dict, bool)):
            raise BadRequest("json_schema: a JSON schema is an object")
        self._size = _unfolded(schema)
        try:
            self._compiled = jsonschema_rs.validator_for(
                schema, retriever=_no_fetching, pattern_options=jsonschema_rs.RegexOptions(size_limit=1 << 20)
            )
        except (ValueError, RecursionError) as err:
            raise BadRequest(f"json_schema: this is no valid JSON schema: {_first_line(err)}") from None

    def check(self, found: dict[str, Any]) -> dict[str, Any]:
        """The object when it satisfies the schema, else `BadRequest` naming the field.

        Texts of digits in fields that must be integers are turned into integers.
        """
        if self._size * _values(found, 0) > MOST_WORK:
            raise BadRequest("the object has too many values to be checked by the schema of this version")
        if self._compiled.is_valid(found):
            return found
        converted = dict(found)
        for error in self._compiled.iter_errors(found):
            path = [str(p) for p in error.instance_path]
            if len(path) == 1 and _wants_integer(error) and isinstance(text := found[path[0]], str):
                if not re.fullmatch(r"[+-]?[0-9]{1,20}", text, re.ASCII):
                    break
                converted[path[0]] = int(text)
        wrong = next(iter(self._compiled.iter_errors(converted)), None)
        if wrong is None:
            return converted
        place = ".".join(map(str, wrong.instance_path))[:200] or "the object"
        raise BadRequest(f"{place}: does not satisfy the JSON schema: {wrong.message[:300]}")


def _wants_integer(error: Any) -> bool:
    kind = error.kind
    return isinstance(kind, jsonschema_rs.ValidationErrorKind.Type) and "integer" in kind.types


def read_schema(text: bytes) -> Validator:
    """The validator of a posted schema.  Raises `BadRequest`."""
    if len(text) > LARGEST_TEXT:
        raise BadRequest(f"json_schema: a schema may have {LARGEST_TEXT} bytes")
    return Validator(parse_json(text, Any, "json_schema"))


def _no_fetching(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _first_line(err: BaseException) -> str:
    return str(err).partition("\n")[0][:300]


def _values(value: Any, depth: int) -> int:
    """How many values are in a JSON value."""
    if depth > DEEPEST + 1:
        raise BadRequest(f"the object is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return 1 + sum([_values(v, depth + 1) for v in value.values()])
    if isinstance(value, list):
        return 1 + sum([_values(v, depth + 1) for v in value])
    return 1


def _unfolded(schema: Any) -> int:
    """How many subschemas there are when each reference is replaced by what it names.  Raises `BadRequest`."""
    sizes: dict[int, int] = {}
    under_way: set[int] = set()
    root_id = schema.get("$id") if isinstance(schema, dict) else None

    def size(part: Any, depth: int, at_root: bool = False) -> int:
        if depth > 500:
            raise BadRequest("json_schema: the schema is nested too deeply")
        if isinstance(part, list):
            return sum([size(p, depth + 1) for p in part])
        if not isinstance(part, dict):
            return 0
        known = sizes.get(id(part))
        if known is not None:
            return known
        if id(part) in under_way:
            raise BadRequest("json_schema: a schema that refers to itself in a circle is not supported here")
        under_way.add(id(part))
        total = 1
        for keyword, value in part.items():
            if keyword in ELSEWHERE:
                raise BadRequest(f"json_schema: {keyword} is not supported here")
            if keyword == "$id" and isinstance(value, str) and not at_root and value != root_id:
                raise BadRequest("json_schema: $id inside of a schema is not supported here")
            if keyword == "$ref" and isinstance(value, str):
                total += size(_target(schema, value), depth + 1)
            elif keyword not in DATA:
                total += size(value, depth + 1)
        if total > LARGEST_UNFOLDED:
            raise BadRequest(f"json_schema: the schema unfolds to more than {LARGEST_UNFOLDED} subschemas")
        under_way.discard(id(part))
        sizes[id(part)] = total
        return total

    return size(schema, 0, True)


def _target(schema: Any, reference: str) -> Any:
    """What a reference within the schema names."""
    if not reference.startswith("#"):
        raise BadRequest(f"json_schema: {reference[:80]!r} refers to another document, which is not fetched")
    if reference == "#" or reference.startswith("#/"):
        found = schema
        for word in reference[2:].split("/") if len(reference) > 2 else ():
            word = _unescape(word)
            if isinstance(found, dict) and word in found:
                found = found[word]
            elif isinstance(found, list) and word.isascii() and word.isdigit() and int(word[:9]) < len(found):
                found = found[int(word[:9])]
            else:
                raise BadRequest(f"json_schema: {reference[:80]!r} names nothing")
        return found
    anchored = _find_anchor(schema, reference[1:])
    if anchored is None:
        raise BadRequest(f"json_schema: {reference[:80]!r} names nothing")
    return anchored


def _unescape(word: str) -> str:
    return unquote(word).replace("~1", "/").replace("~0", "~")


def _find_anchor(part: Any, name: str) -> Any:
    stack = [part]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if name in (found.get("$anchor"), found.get("$dynamicAnchor")) or found.get("$id") == "#" + name:
                return found
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)
    return None
