"""Settling the conflicts of a merge by the order of the parents: where they disagree, the first wins.

A conflict is a key that was changed on both sides, not one that merely differs.  For a parent that loses keys a
locked version is made (branch "conflict-<uuid>") in which they are deleted; then these are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .dag import Dag, Node
from .errors import BadRequest
from .instance import Instance
from .keys import NEWEST, prefix_range
from .mutation import Mutation
from .requests import Caller
from .values import Value
from .view import View

if TYPE_CHECKING:
    from .repo import Repo


class Verdict(msgspec.Struct):
    """What settles the conflicts of one instance."""

    losers: dict[int, list[bytes]]
    """Parent version -> tkeys that it loses."""
    decided: list[tuple[bytes, bytes]]
    """(tkey, stored value) to write at the merge, where a parent sees the winner and a loser alike."""


async def resolve(
    repo: Repo, instances: Sequence[Instance], parents: Sequence[Node], note: str, caller: Caller
) -> Node:
    """Merge `parents` with the conflicts of `instances` settled; returns the open child."""
    if len({p.version for p in parents}) != len(parents) or len(parents) < 2:
        raise BadRequest("parents: two or more different versions are needed")
    verdicts = []
    for instance in instances:
        await instance.ready()
        if instance.versioned:
            verdicts.append((instance, await _judge(instance, parents)))
    stand_ins = []
    for parent in parents:
        losses = [(i, v.losers[parent.version]) for i, v in verdicts if parent.version in v.losers]
        stand_ins.append(await _without(repo, parent, losses, caller) if losses else parent)
    child = await repo.merge(stand_ins, note)
    for instance, verdict in verdicts:
        if verdict.decided:
            await _write(View(instance, child, caller), verdict.decided)
    return child


async def _judge(instance: Instance, parents: Sequence[Node]) -> Verdict:
    """Find the keys that a merge of `parents` would dispute, and who wins them."""
    dag, store = instance.repo.dag, instance.store
    verdict = Verdict({}, [])
    for klass in instance.keys:
        size = len(instance.prefix)
        current = b""
        entries: list[tuple[int, bytes]] = []
        async for page in store.scan(*prefix_range(instance.prefix + bytes([klass.number]))):
            for key, raw in page:
                if key[size:-4] != current:
                    _settle(dag, parents, current, entries, verdict)
                    current, entries = key[size:-4], []
                entries.append((NEWEST - int.from_bytes(key[-4:], "big"), raw))
        _settle(dag, parents, current, entries, verdict)
    return verdict


def _settle(dag: Dag, parents: Sequence[Node], tkey: bytes, entries: list[tuple[int, bytes]], verdict: Verdict) -> None:
    by_version = dict(entries)
    seen = [set(dag.survivors(p.version, by_version)) for p in parents]
    everything = set().union(*seen)
    # A survivor of one parent that a survivor of another descends from was changed on one side only.
    nearest = [v for v in everything if not any(o != v and dag.is_ancestor(v, o) for o in everything)]
    live = [v for v in nearest if by_version[v]]
    if len(live) < 2:
        return
    rank = {v: min(i for i, s in enumerate(seen) if v in s) for v in live}
    winner = min(live, key=lambda v: (rank[v], -v))
    losing = [s & set(live) - {winner} for s in seen]
    if any(lost and dag.is_ancestor(winner, p.version) for lost, p in zip(losing, parents)):
        verdict.decided.append((tkey, by_version[winner]))
        return
    for lost, parent in zip(losing, parents):
        if lost:
            verdict.losers.setdefault(parent.version, []).append(tkey)


async def _without(repo: Repo, parent: Node, losses: list[tuple[Instance, list[bytes]]], caller: Caller) -> Node:
    """A locked child of `parent` in which the lost keys are deleted."""
    async with repo.lock():
        helper = await repo.add_version(None, [parent], f"conflict-{parent.uuid}", "keys that lost in a resolve")
    for instance, tkeys in losses:

        async def drop(m: Mutation, tkeys: list[bytes] = tkeys) -> None:
            for tkey in tkeys:
                m.delete(tkey)
            m.record(payload={"deleted": tkeys})

        await View(instance, helper, caller).edit("resolve", drop)
    await repo.commit(helper, "", [], caller)
    return helper


async def _write(view: View, decided: list[tuple[bytes, bytes]]) -> None:
    """Write winners at the merge, large ones with chunks of their own."""
    values = []
    for tkey, raw in decided:
        value = Value(raw, view.instance.store, view.instance.id)
        values.append((tkey, value.inline if value.inline is not None else await view.stage(value.chunks())))

    async def change(m: Mutation) -> None:
        for tkey, value in values:
            m.put(tkey, value)
        m.record(payload={"written": [t for t, _ in values]})

    await view.edit("resolve", change)
