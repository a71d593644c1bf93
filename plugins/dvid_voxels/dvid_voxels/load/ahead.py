"""Work that goes on while what came of earlier work is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The items; while one is used, the next is made in a thread."""
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="source") as pool:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield item  # type: ignore[misc]
