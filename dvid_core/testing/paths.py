"""`paths`: for each route a path that fits it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..routes import Route

SAMPLES = ("1", "1_1_1", "0_1_2", "name", "xy", "json", "AAAAAAAAAAAAAAAAAAAAAA==")
"""Texts that are tried in turn for a parameter."""


def paths(routes: Iterable[Route], samples: Mapping[str, str]) -> Iterator[tuple[Route, str]]:
    """Each route and its pattern with `samples` in the places of its parameters, or else texts that they take."""
    for route in routes:
        texts = {
            f"{{{name}}}": samples.get(name) or _sample(route, param.parse) for _, name, param, _, _ in route.params
        }
        yield route, "/".join(texts.get(word, word) for word in route.pattern.split("/"))


def _sample(route: Route, parse: Callable[[str], Any]) -> str:
    for text in SAMPLES:
        try:
            parse(text)
        except ValueError:
            continue
        return text
    raise AssertionError(f"the suite's `samples` need texts for the parameters of {route}")
