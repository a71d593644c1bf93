"""Regular expressions of users.

RE2 has the syntax that clients know from the reference, and takes time in proportion to the text and to the compiled
pattern.  Either can be large, so what could take long is done in threads, where it releases the GIL, and within limits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

import re2  # type: ignore[import-untyped]

from dvid_core import BadRequest

Run = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in a thread."""

COMPILED_BYTES = 8 << 20

AT_ONCE = 50_000
"""Steps, that is characters times instructions of the pattern, that are made on the event loop: at most 20 ns each."""
IN_ONE_GO = 50_000_000
"""Steps between two looks at the clock, and at whether anybody still waits for the answer."""
MOST_STEPS = 500_000_000
"""Steps for one text."""
MOST_SECONDS = 20.0
"""What all texts of a query may take."""

REMEMBERED = 1 << 16
"""Texts of which a pattern remembers whether it is found in them."""


class NoPattern(ValueError):
    """Raised when a text is no regular expression."""


class Pattern:
    """A regular expression, found anywhere in a text unless it anchors itself."""

    def __init__(self, source: str) -> None:
        """Raises `NoPattern`."""
        options = re2.Options()
        options.log_errors = False
        options.max_mem = COMPILED_BYTES
        try:
            compiled = re2.compile(source, options)
        except re2.error as err:
            raise NoPattern(str(err)) from None
        self._search, self._size = compiled.search, compiled.programsize
        self._known: dict[str, bool] = {}
        self._seconds = 0.0

    async def found_in(self, texts: Iterable[str], run: Run) -> frozenset[str]:
        """Those of the texts in which it is found.  Raises `BadRequest` when that takes too long.

        Answers are remembered, since most texts occur in many annotations.
        """
        texts = list(texts)
        if len(self._known) > REMEMBERED:
            self._known.clear()
        some: list[str] = []
        steps = 0
        for text in texts:
            if text not in self._known:
                cost = len(text) * self._size
                if cost > MOST_STEPS:
                    raise BadRequest(f"a regular expression is too large for a text of {len(text)} characters")
                some.append(text)
                steps += cost
                if steps > IN_ONE_GO:
                    await run(self._look, some)
                    some, steps = [], 0
        if steps > AT_ONCE:
            await run(self._look, some)
        else:
            self._look(some)
        return frozenset([text for text in texts if self._known[text]])

    def _look(self, texts: Sequence[str]) -> None:
        begun = perf_counter()
        for text in texts:
            self._known[text] = self._search(text) is not None
        self._seconds += perf_counter() - begun
        if self._seconds > MOST_SECONDS:
            raise BadRequest(f"a regular expression of the query took more than {MOST_SECONDS:.0f} seconds")
