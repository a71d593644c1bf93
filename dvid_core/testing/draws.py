"""What `VersionsMachine` draws: names, values and changes, and versions out of its model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from ..values import INLINE

NAMES = st.sampled_from(["", "a", "a\x00", "a/b", "b", "é", "\uffff"])
LARGE = st.integers(0, 255).map(lambda byte: bytes([byte]) * (INLINE + 1))
VALUES = st.one_of(st.binary(max_size=2), st.integers(0, 10**6).map(b"%d".__mod__), LARGE)
CHANGES = st.dictionaries(NAMES, st.one_of(VALUES, VALUES, st.none()), min_size=1, max_size=3)
SIDES = st.lists(st.one_of(CHANGES, st.just({})), min_size=2, max_size=3)
VERSIONS = st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.model.parents)))
OPEN = st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.model.open)))
LOCKED = st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.model.locked)))
PARENTS = st.runner().flatmap(
    lambda machine: st.lists(st.sampled_from(sorted(machine.model.locked)), min_size=2, max_size=3, unique=True)
)
"""Drawn from the `model` of the machine that runs."""

has_open = precondition(lambda machine: machine.model.open)
has_locked = precondition(lambda machine: machine.model.locked)
has_parents = precondition(lambda machine: len(machine.model.locked) > 1)
