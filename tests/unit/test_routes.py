"""Routes: what paths and queries give a handler, what is refused, and which declarations fail at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest

from dvid_core.errors import BadRequest
from dvid_core.requests import EMPTY, Reply, Request
from dvid_core.routes import (
    About,
    Flag,
    LazyNumber,
    Param,
    QueryParser,
    Route,
    RouteTable,
    Switch,
    Uint64,
    Vec3,
    delete,
    get,
    head,
    param_of,
    post,
    put,
)


class Query(msgspec.Struct, frozen=True):
    size: Annotated[int, About("a size")] = 7
    share: Annotated[float | None, About("a share")] = None
    exact: Annotated[Flag, About("only true")] = False
    throttle: Annotated[Switch, About("on or true")] = False
    plain: Annotated[bool, About("as a flag")] = False
    form: Annotated[Literal["json", "tar"], About("a form")] = "json"
    label: Annotated[Uint64, About("a label")] = 0
    at: Annotated[Vec3 | None, About("a place")] = None
    late: Annotated[LazyNumber | None, About("checked late")] = None
    renamed: Annotated[str, About("a name")] = msgspec.field(default="", name="Byte-Start")


QUERY = QueryParser(Query)


def test_options_are_read_by_their_names_and_unknown_ones_ignored() -> None:
    wire = {
        "size": "-12", "share": "0.5", "exact": "true", "throttle": "on", "plain": "true", "form": "tar",
        "label": str(2**64 - 1), "at": "1_-2_3", "Byte-Start": "x y", "renamed": "ignored", "SIZE": "x", "u": "me",
    }  # fmt: skip
    wanted = Query(-12, 0.5, True, True, True, "tar", 2**64 - 1, (1, -2, 3), None, "x y")
    assert QUERY.parse(wire) == wanted
    assert QUERY.parse({}) == Query()


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "yes", "", "false", "true ", "on"])
def test_flag_is_set_by_true_alone(text: str) -> None:
    found = QUERY.parse({"exact": text, "plain": text, "throttle": text})
    assert (found.exact, found.plain) == (False, False)  # type: ignore[attr-defined]
    assert found.throttle is (text == "on")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "text"),
    [("size", "x"), ("size", ""), ("share", "nan"), ("form", "JSON"), ("form", ""), ("label", "-1"), ("at", "1_2")],
)
def test_wrong_option_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(BadRequest, match=f"^{name}: "):
        QUERY.parse({name: text})


def test_late_option_is_refused_when_it_is_used() -> None:
    late = QUERY.parse({"late": "-1"}).late  # type: ignore[attr-defined]
    with pytest.raises(BadRequest, match="late: expected a whole number"):
        late.value("late")
    assert QUERY.parse({"late": "0012"}).late.value("late") == 12  # type: ignore[attr-defined]


def test_refusal_of_a_huge_option_is_short() -> None:
    with pytest.raises(BadRequest) as refused:
        QUERY.parse({"size": "1" * 10_000})
    assert len(str(refused.value)) < 200


class NoBody:
    length = 0

    async def read(self, limit: int) -> bytes:
        return b""

    def chunks(self) -> Any:
        raise NotImplementedError


def request(parts: list[str], query: str = "") -> Request:
    return Request("GET", parts, query_string=query, body=NoBody())


async def box(view: Any, size: Vec3, name: str, offset: Vec3 = (0, 0, 0), count: int = 1) -> Reply:
    """A box."""
    return EMPTY


async def asked(request: Request, query: Query) -> Reply:
    """With a query."""
    return EMPTY


async def pair(view: Any, size: Vec3, name: str) -> Reply:
    """A pair."""
    return EMPTY


BOX = get("box/{size}/fixed/{name}/{offset}/{count}", box)


def test_arguments_come_from_the_path_with_defaults_for_what_is_missing() -> None:
    def arguments(path: str) -> dict[str, Any]:
        parts = path.split("/")
        assert BOX.fits(parts)
        return BOX.arguments(parts, {"view": "the view", "request": request(parts)})

    assert arguments("box/1_2_3/fixed/n") == {
        "view": "the view",
        "size": (1, 2, 3),
        "name": "n",
        "offset": (0, 0, 0),
        "count": 1,
    }
    assert arguments("box/1_2_3/fixed/n/4_5_6/7/more/of/it")["count"] == 7
    for path, name in [
        ("box", "size"),
        ("box/1_2_3/fixed", "name"),
        ("box/1_2/fixed/n", "size"),
        ("box//fixed/n", "size"),
        ("box/1_2_3/fixed/n/4_5_6/x", "count"),
    ]:
        parts = path.split("/")
        with pytest.raises(BadRequest, match=f"^{name}: "):
            BOX.arguments(parts, {"view": None, "request": request(parts)})
    assert not BOX.fits(["box", "1_2_3", "other", "n"])
    assert not BOX.fits(["box", "1_2_3"])


@pytest.mark.parametrize(("count", "taken"), [(3, False), (4, True), (5, True), (6, True), (7, False)])
def test_path_is_neither_shorter_nor_longer_than_the_pattern(count: int, taken: bool) -> None:
    assert BOX.takes(count) is taken


def test_query_reaches_the_handler_and_the_first_of_repeated_options_counts() -> None:
    route = get("asked", asked, query=Query)
    wire = request(["asked"], "size=3&size=x&form=tar&%73hare=0.25&empty")
    assert route.arguments(["asked"], {"request": wire})["query"] == Query(3, 0.25, form="tar")


def test_methods_mutate_unless_they_read() -> None:
    made: list[tuple[Callable[..., Route], bool]] = [
        (get, False),
        (head, False),
        (post, True),
        (put, True),
        (delete, True),
    ]
    assert [make("pair/{size}/{name}", pair).mutates for make, _ in made] == [mutates for _, mutates in made]
    assert not post("pair/{size}/{name}", pair, mutates=False).mutates


async def silent(view: Any) -> Reply:
    return EMPTY


async def odd(view: Any, thing: dict[str, int]) -> Reply:
    """Takes what no parser gives."""
    return EMPTY


class Needed(msgspec.Struct):
    size: Annotated[int, About("a size")]


class Unexplained(msgspec.Struct):
    size: int = 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: get("silent", silent), "needs a docstring"),
        (lambda: get("box/{size}/{nome}", box), "'name', which is not in the path"),
        (lambda: get("pair/{size}/{name}/{x}", pair), "does not take x"),
        (lambda: get("asked", asked), "disagree about a query"),
        (lambda: get("pair/{size}/{name}", pair, query=Query), "disagree about a query"),
        (lambda: get("odd/{thing}", odd), "no parser"),
        (lambda: QueryParser(Needed), "needs a default"),
        (lambda: QueryParser(Unexplained), "needs About"),
    ],
)
def test_wrong_declaration_fails_when_it_is_made(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make()


def test_table_finds_by_method_and_first_word_and_refuses_doubles() -> None:
    routes = [get("pair/{size}/{name}", pair), post("pair/{size}/{name}", pair), head("other", box_head)]
    table = RouteTable(routes)
    assert table.find("GET", "pair") is table.find("HEAD", "pair") is routes[0]
    assert table.find("POST", "pair") is routes[1]
    assert table.find("HEAD", "other") is routes[2]
    assert table.find("GET", "other") is table.find("DELETE", "pair") is table.find("GET", "PAIR") is None
    assert table.methods("pair") == ["GET", "POST"]
    with pytest.raises(ValueError, match="two routes for GET pair"):
        RouteTable([*routes, get("pair/{size}/fixed/{name}", pair)])


async def box_head(view: Any) -> Reply:
    """A HEAD of its own."""
    return EMPTY


def test_description_beside_the_parameter_wins_over_that_of_its_kind() -> None:
    assert param_of(Vec3)[1] == "three whole numbers x_y_z"
    assert param_of(Annotated[Vec3, About("a corner")])[1] == "a corner"
    assert param_of(Annotated[Vec3 | None, About("a corner")]) == (param_of(Vec3)[0], "a corner")
    assert param_of(Annotated[str, Param(str.upper, "loud")])[0].parse("x") == "X"
