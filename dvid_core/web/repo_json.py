"""Repos and versions as clients read them; the names and their order are the wire's."""

from __future__ import annotations

from typing import Any

from ..dag import Node
from ..records import rfc3339
from ..repo import Repo
from ..view import View


async def repo_json(repo: Repo) -> dict[str, Any]:
    """A repo as seen from its root: instances' info is that of the newest version of the default branch."""
    leaf = repo.dag.branch_leaf("") or repo.dag.root
    nodes = {n.uuid: await node_json(repo, n) for n in list(repo.dag.nodes.values())}
    instances = {}
    for name, instance in sorted(repo.instances.items()):
        if instance.typename:
            instances[name] = await instance.full_info(View(instance, leaf))
        else:
            instances[name] = {"Base": instance.base_info(), "Extended": {}}
    record = repo.record
    return {
        "Root": record.root,
        "Alias": record.alias,
        "Description": record.description,
        "Log": await repo.log_lines(),
        "Properties": {},
        "DataInstances": instances,
        "DAG": {"Root": record.root, "Nodes": nodes},
        "MutationID": repo.mutation_id,
        "SavedMutationID": repo.saved_mutation_id,
        "Created": rfc3339(record.created),
        "Updated": rfc3339(record.updated),
    }


async def node_json(repo: Repo, node: Node) -> dict[str, Any]:
    """One version of a repo."""
    return {
        "Branch": node.branch,
        "Note": node.note,
        "Log": await repo.log_lines(node.version),
        "UUID": node.uuid,
        "VersionID": node.version,
        "Locked": node.locked,
        "Parents": list(node.parents),
        "Children": list(repo.dag.children(node.version)),
        "Created": rfc3339(node.created),
        "Updated": rfc3339(node.updated),
    }
