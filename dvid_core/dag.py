"""The versions of one repo: who is whose ancestor, what is locked, which branch ends where.  Pure: no I/O.

A version id is a number that grows with the order of creation, so a parent's id is always below its child's.
`anc[v]`, the ancestors of v and v itself, is an int used as a bit set over positions in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

MASTER = ""
"""How the default branch is spelled in metadata; requests call it "master"."""


class Node(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One version.  Times are seconds since 1970 (UTC)."""

    uuid: str
    version: int
    parents: tuple[int, ...] = ()
    branch: str = MASTER
    note: str = ""
    locked: bool = False
    created: float = 0.0
    updated: float = 0.0


class Dag:
    """The nodes of a repo by version id; `root` is the first one."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: dict[int, Node] = {}
        self._position: dict[int, int] = {}
        self._ancestors: dict[int, int] = {}
        self._children: dict[int, list[int]] = {}
        for node in sorted(nodes, key=lambda n: n.version):
            self.add(node)

    def add(self, node: Node) -> None:
        """Add a version whose parents are here already.

        Raises `ValueError` when a parent is unknown, the id is not above all others, or a second root is added.
        """
        if self.nodes and (not node.parents or node.version <= next(reversed(self.nodes))):
            raise ValueError(f"version {node.version} cannot follow the versions of this repo")
        if any(p not in self.nodes for p in node.parents):
            raise ValueError(f"version {node.version} has an unknown parent")
        position = len(self._position)
        mask = 1 << position
        for p in node.parents:
            mask |= self._ancestors[p]
            self._children[p].append(node.version)
        self.nodes[node.version] = node
        self._position[node.version] = position
        self._ancestors[node.version] = mask
        self._children[node.version] = []

    @property
    def root(self) -> Node:
        return self.nodes[next(iter(self.nodes))]

    def children(self, version: int) -> Sequence[int]:
        """The versions made from this one, in order of creation."""
        return self._children[version]

    def is_ancestor(self, ancestor: int, version: int) -> bool:
        """Whether `ancestor` is `version` or one that it descends from."""
        position = self._position.get(ancestor)
        return position is not None and bool(self._ancestors[version] >> position & 1)

    def visible(self, version: int, writers: Iterable[int]) -> list[int]:
        """Those of `writers` that `version` descends from (or is), newest first."""
        return sorted((w for w in writers if self.is_ancestor(w, version)), reverse=True)

    def survivors(self, version: int, writers: Iterable[int]) -> list[int]:
        """The nearest of `writers` as seen from `version`: those that no other visible writer descends from.

        `writers` come newest first.  One survivor is the usual case; several come of a merge.
        """
        out: list[int] = []
        mask, hidden = self._ancestors[version], 0
        for w in writers:
            position = self._position.get(w)
            if position is None or not mask >> position & 1 or hidden >> position & 1:
                continue
            hidden |= self._ancestors[w]
            out.append(w)
        return out

    def branch_leaf(self, branch: str) -> Node | None:
        """The newest node of the branch that has no child of the same branch; None when nobody is on it."""
        leaf = None
        for node in self.nodes.values():
            if node.branch == branch and not any(self.nodes[c].branch == branch for c in self._children[node.version]):
                leaf = node
        return leaf

    def branch_versions(self, branch: str) -> list[Node]:
        """From the leaf of the branch back to the root.

        All parents of a merge are listed in order, and the walk goes on from the last of them.
        """
        out: list[Node] = []
        leaf = self.branch_leaf(branch)
        while leaf is not None:
            if not out:
                out.append(leaf)
            parents = [self.nodes[p] for p in leaf.parents]
            out.extend(parents)
            leaf = parents[-1] if parents else None
        return out

    def first_parents(self, version: int) -> Iterator[Node]:
        """`version` and back along first parents to the root."""
        node = self.nodes[version]
        while True:
            yield node
            if not node.parents:
                return
            node = self.nodes[node.parents[0]]

    def __len__(self) -> int:
        return len(self.nodes)
