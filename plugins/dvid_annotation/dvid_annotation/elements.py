"""Elements as they are on the wire, and in the text that is stored.

The text of an element is its JSON in one form: the members Pos, Kind, Tags, Prop and Rels in this order, without
spaces.  So `{"Pos":[` begins an element and is nowhere inside one: in strings quotes are escaped, and the members of
Prop are strings.  What comes before `,"Rels":[` and a brace is the element as lists of labels and tags show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest
from dvid_voxels.annotation_events import KINDS

from .grid import Positions

SEPARATOR = b'{"Pos":['

TAG_LETTERS = 1000
STRING_LETTERS = 1 << 16
TAGS = 1000
RELATIONS = 100_000
TEXT_BYTES = 1 << 20
"""Bytes of the text of one element."""

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Point = tuple[Int32, Int32, Int32]
"""x, y, z."""
Kind = Literal["Unknown", "PostSyn", "PreSyn", "Gap", "Note"]
Relation = Literal["UnknownRelationship", "PostSynTo", "PreSynTo", "ConvergentTo", "GroupedWith"]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=TAG_LETTERS)]
Words = Annotated[str, msgspec.Meta(max_length=STRING_LETTERS)]

KIND_NUMBERS: dict[str, int] = {kind: n for n, kind in enumerate(KINDS)}


class Rel(msgspec.Struct, gc=False):
    """A relationship to the element at another position, which need not exist."""

    Rel: Relation
    To: Point


class Bare(msgspec.Struct, gc=False):
    """An element without its relationships."""

    Pos: Point
    Kind: Kind = "Unknown"
    Tags: Annotated[list[Tag], msgspec.Meta(max_length=TAGS)] | None = None
    Prop: dict[Words, Words] | None = None


class Element(Bare, gc=False):
    """An element."""

    Rels: Annotated[list[Rel], msgspec.Meta(max_length=RELATIONS)] | None = None


class Batch:
    """Elements to be stored, no two at one position; columns of equal length."""

    __slots__ = ("bare", "kinds", "positions", "tags", "texts")

    def __init__(
        self, positions: Positions, kinds: NDArray[np.uint8], tags: list[list[str]], bare: list[int], texts: list[bytes]
    ) -> None:
        self.positions, self.kinds, self.tags, self.bare, self.texts = positions, kinds, tags, bare, texts

    def __len__(self) -> int:
        return len(self.texts)


_elements = msgspec.json.Decoder(list[Element] | None)
_element = msgspec.json.Decoder(Element)
_encode = msgspec.json.Encoder().encode
_TAIL = b',"Rels":['


def text_of(element: Element) -> tuple[bytes, int]:
    """The text, and the length of the part before its relationships."""
    if element.Tags is None:
        element.Tags = []
    if element.Prop is None:
        element.Prop = {}
    if element.Rels is None:
        element.Rels = []
    text = _encode(element)
    return text, text.rindex(_TAIL)


def element_of(text: bytes) -> Element:
    """The element of a stored text."""
    return _element.decode(text)


def tags_of(text: bytes) -> list[str]:
    """The tags of a stored text."""
    start = text.index(b',"Tags":[') + 9
    if text[start : start + 1] == b"]":
        return []
    return element_of(text).Tags or []


def decode_elements(data: bytes | msgspec.Raw, what: str = "the body") -> list[Element]:
    """A JSON list of elements; null is an empty one.  Raises `BadRequest` naming the element that is wrong."""
    try:
        return _elements.decode(data) or []
    except (msgspec.MsgspecError, ValueError, RecursionError) as err:
        raise BadRequest(f"{what} is no list of elements: {str(err).replace('$', 'elements')}") from None


def batch_of(elements: list[Element], what: str = "elements") -> Batch:
    """Elements ready to be stored.  Raises `BadRequest` for one that is too large or at the position of another."""
    places = {e.Pos: n for n, e in enumerate(elements)}
    if len(places) < len(elements):
        first = next(n for n, e in enumerate(elements) if places[e.Pos] != n)
        at = elements[first].Pos
        raise BadRequest(f"{what}: two elements are at {list(at)}, such as [{first}] and [{places[at]}]")
    texts, bare = [], []
    for element in elements:
        text, length = text_of(element)
        if len(text) > TEXT_BYTES:
            raise BadRequest(f"{what}: the element at {list(element.Pos)} has more than {TEXT_BYTES} bytes")
        texts.append(text)
        bare.append(length)
    positions = np.array(list(places), np.int32).reshape(-1, 3)[:, ::-1]
    kinds = np.array([KIND_NUMBERS[e.Kind] for e in elements], np.uint8)
    tags = [e.Tags or [] for e in elements]
    return Batch(np.ascontiguousarray(positions), kinds, tags, bare, texts)


def read_batch(data: bytes) -> Batch:
    """A kernel: the body of a POST of elements."""
    return batch_of(decode_elements(data))


_KIND = b'],"Kind":"'


def kinds_of(texts: Iterable[bytes]) -> NDArray[np.uint8]:
    """The kinds of elements, from their texts."""
    found = []
    for text in texts:
        at = text.index(_KIND) + len(_KIND)
        found.append(KIND_NUMBERS[text[at : text.index(b'"', at)].decode()])
    return np.array(found, np.uint8)
