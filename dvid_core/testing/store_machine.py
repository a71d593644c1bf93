"""`StoreMachine`: a storage engine beside a dictionary, for its own tests to subclass; see `stores`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ..errors import Conflict
from ..storage.base import Batch, Store, Want
from .stores import END, pairs

R = TypeVar("R")

KEYS = st.lists(st.sampled_from(b"\x00\x01\xfe\xff"), max_size=3).map(bytes)
LOGS = st.sampled_from([b"\x00log", b"\xfelog"])
VALUES = st.one_of(
    st.binary(max_size=4),
    st.builds(
        lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.sampled_from([0, 1, 8191, 8192, 40_000])
    ),
)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, VALUES),
        st.tuples(st.just("delete"), st.one_of(KEYS, LOGS)),
        st.tuples(st.just("delete_range"), KEYS, KEYS),
        st.tuples(st.just("append"), LOGS, VALUES),
    ),
    max_size=5,
)


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and a dictionary side by side; what the store reads must be what the dictionary says."""

    persistent: ClassVar[bool] = True

    async def open_store(self, place: Path) -> Store:
        """As in `StoreSuite`."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.model: dict[bytes, bytes] = {}
        self.store = self.run_(lambda: self.open_store(Path(self.folder.name) / "store"))

    def run_(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        return self.runner.run(call())

    def teardown(self) -> None:
        self.run_(self.store.aclose)
        self.runner.close()
        self.folder.cleanup()

    def apply(self, change: Batch) -> tuple[int, ...]:
        """What a commit means, in the plainest words."""
        for start, stop in change.ranges:
            for key in [key for key in self.model if start <= key < stop]:
                del self.model[key]
        for key, value in change.puts.items():
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value
        numbers = []
        for prefix, record in change.appends:
            n = int.from_bytes(self.model.get(prefix, b""), "big") + 1
            self.model[prefix] = n.to_bytes(8, "big")
            self.model[prefix + n.to_bytes(8, "big")] = record
            numbers.append(n)
        return tuple(numbers)

    @rule(changes=CHANGES, expected=st.lists(KEYS, max_size=2), durable=st.booleans())
    def commit(self, changes: list[tuple[Any, ...]], expected: list[bytes], durable: bool) -> None:
        change = Batch()
        for name, *args in changes:
            getattr(change, name)(*args)
        for key in expected:
            change.expect(key, self.model.get(key))
        receipt = self.run_(lambda: self.store.commit(change, durable=durable))
        assert receipt.numbers == self.apply(change)

    @rule(key=KEYS, value=st.one_of(st.none(), VALUES))
    def commit_in_vain(self, key: bytes, value: bytes | None) -> None:
        if self.model.get(key) == value:
            return
        change = Batch()
        change.delete_range(b"", END)
        change.put(b"never", b"")
        change.expect(key, value)
        with pytest.raises(Conflict):
            self.run_(lambda: self.store.commit(change))

    @rule(keys=st.lists(KEYS, max_size=30))
    def get(self, keys: list[bytes]) -> None:
        expected = [self.model.get(key) for key in keys]
        assert self.run_(lambda: self.store.get_many(keys)) == expected
        for key, value in zip(keys[:3], expected, strict=False):
            assert self.run_(lambda key=key: self.store.get(key)) == value  # type: ignore[misc]

    @rule(
        start=KEYS,
        stop=KEYS,
        reverse=st.booleans(),
        want=st.sampled_from(["values", "heads", "keys"]),
        limit=st.one_of(st.none(), st.integers(0, 5)),
    )
    def scan(self, start: bytes, stop: bytes, reverse: bool, want: Want, limit: int | None) -> None:
        expected = sorted((pair for pair in self.model.items() if start <= pair[0] < stop), reverse=reverse)[:limit]
        end = {"values": None, "heads": 1, "keys": 0}[want]
        expected = [(key, value[:end]) for key, value in expected]
        found = self.run_(lambda: pairs(self.store.scan(start, stop, reverse=reverse, want=want, limit=limit)))
        assert found == expected

    @precondition(lambda self: self.persistent)
    @rule()
    def reopen(self) -> None:
        self.run_(self.store.aclose)
        self.store = self.run_(lambda: self.open_store(Path(self.folder.name) / "store"))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.run_(lambda: pairs(self.store.scan(b"", END))) == sorted(self.model.items())
