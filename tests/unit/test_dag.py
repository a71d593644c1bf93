"""`Dag` beside plain walks over random DAGs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvid_core.dag import MASTER, Dag, Node

BRANCHES = [MASTER, "left", "right"]


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    """The nodes of a random DAG; ids grow, with gaps as on a server with several repos."""
    out: list[Node] = []
    version = 0
    for i in range(draw(st.integers(1, 14))):
        version += draw(st.integers(1, 3))
        count = draw(st.integers(1, min(3, i))) if i else 0
        picked = st.sampled_from([n.version for n in out]) if out else st.nothing()
        parents = draw(st.lists(picked, min_size=count, max_size=count, unique=True))
        branch = draw(st.sampled_from(BRANCHES))
        out.append(Node(uuid=f"{version:032x}", version=version, parents=tuple(parents), branch=branch))
    return out


def lineage(by_version: dict[int, Node], version: int) -> set[int]:
    """The version and all its ancestors, by walking."""
    out, todo = set(), [version]
    while todo:
        at = todo.pop()
        out.add(at)
        todo += [p for p in by_version[at].parents if p not in out]
    return out


@st.composite
def dags(draw: st.DrawFn) -> tuple[Dag, dict[int, Node], dict[int, set[int]]]:
    """A `Dag` made of nodes in any order, its nodes, and the lineage of each."""
    found = draw(nodes())
    by_version = {n.version: n for n in found}
    return Dag(draw(st.permutations(found))), by_version, {v: lineage(by_version, v) for v in by_version}


@given(dags())
def test_ancestors_are_what_a_walk_along_the_parents_meets(made: Any) -> None:
    dag, by_version, lines = made
    assert len(dag) == len(by_version)
    assert dag.root.version == min(by_version)
    for version in by_version:
        assert {a for a in by_version if dag.is_ancestor(a, version)} == lines[version]
        assert list(dag.children(version)) == [n.version for n in by_version.values() if version in n.parents]
    assert not dag.is_ancestor(10**6, dag.root.version)


@given(dags(), st.data())
def test_survivors_are_the_writers_that_no_other_visible_writer_descends_from(made: Any, data: st.DataObject) -> None:
    dag, by_version, lines = made
    writers = data.draw(st.lists(st.sampled_from([*by_version, 10**6]), unique=True))
    for version in by_version:
        seen = [w for w in sorted(writers, reverse=True) if w in lines[version]]
        assert dag.visible(version, writers) == seen
        nearest = [w for w in seen if not any(w != o and w in lines[o] for o in seen)]
        assert dag.survivors(version, sorted(writers, reverse=True)) == nearest
        assert bool(nearest) == bool(seen)


@given(dags())
def test_leaf_of_a_branch_is_its_newest_node_without_a_child_on_it(made: Any) -> None:
    dag, by_version, _ = made
    for branch in [*BRANCHES, "none"]:
        on_it = [n for n in by_version.values() if n.branch == branch]
        tips = [n for n in on_it if not any(n.version in other.parents for other in on_it)]
        assert dag.branch_leaf(branch) is (max(tips, key=lambda n: n.version) if tips else None)


@given(dags())
def test_versions_of_a_branch_run_from_its_leaf_over_the_last_parents_to_the_root(made: Any) -> None:
    dag, by_version, _ = made
    for branch in BRANCHES:
        leaf, listed = dag.branch_leaf(branch), dag.branch_versions(branch)
        if leaf is None:
            assert listed == []
            continue
        wanted, at = [leaf.version], leaf
        while at.parents:
            wanted += at.parents
            at = by_version[at.parents[-1]]
        assert [n.version for n in listed] == wanted
        assert listed[-1] is dag.root or wanted[-1] == dag.root.version


@given(dags())
def test_first_parents_lead_to_the_root(made: Any) -> None:
    dag, by_version, _ = made
    for version in by_version:
        path = list(dag.first_parents(version))
        assert path[0].version == version and path[-1] is dag.root
        assert all(b.version == a.parents[0] for a, b in pairwise(path))


def node(version: int, *parents: int) -> Node:
    return Node(uuid=f"{version:032x}", version=version, parents=parents)


@pytest.mark.parametrize(
    "bad", [node(5), node(5, 4), node(2, 1), node(1, 1), node(5, 5)],
    ids=["second-root", "unknown-parent", "id-not-above", "own-parent-and-id", "own-parent"],
)  # fmt: skip
def test_node_that_does_not_fit_is_refused_and_changes_nothing(bad: Node) -> None:
    dag = Dag([node(1), node(3, 1)])
    with pytest.raises(ValueError, match="version"):
        dag.add(bad)
    assert len(dag) == 2
    assert list(dag.children(1)) == [3]
    assert list(dag.children(3)) == []
    dag.add(node(6, 3, 1))
    assert dag.survivors(6, [3, 1]) == [3]


@settings(max_examples=5, deadline=None)
@given(st.integers(1000, 3000))
def test_long_chain_needs_no_recursion(length: int) -> None:
    dag = Dag([node(1), *(node(v, v - 1) for v in range(2, length + 1))])
    assert dag.survivors(length, [length - 1, 5, 1]) == [length - 1]
    assert len(dag.branch_versions(MASTER)) == length
