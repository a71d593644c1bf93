"""Routes of one repo, named by any of its versions."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..dag import Node
from ..errors import BadRequest
from ..repo import Repo
from ..requests import EMPTY, TEXT, Reply, Request
from ..resolve import resolve
from ..routes import About, Route, delete, get, head, post
from ..server import Server
from .repo_json import repo_json


class PasscodeQuery(msgspec.Struct, frozen=True):
    """What protects a repo."""

    passcode: Annotated[str, About("the repo's passcode, when it was made with one")] = ""


def need_text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """A string of a JSON body; `BadRequest` names it when it is missing (and has no default) or no string."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"{name}: expected a string, got {value!r:.80}" if name in body else f"{name}: missing")
    return value


def need_lines(body: dict[str, Any], name: str, *, optional: bool = False) -> list[str]:
    """A list of strings of a JSON body."""
    value = body.get(name, [] if optional else None)
    if value is None and optional:
        value = []
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise BadRequest(f"{name}: expected a list of strings" if name in body else f"{name}: missing")
    return value


async def head_repo(repo: Repo) -> Reply:
    """200 when the version exists, else 400."""
    return Reply(b"", TEXT)


async def delete_repo(server: Server, repo: Repo, request: Request, query: PasscodeQuery) -> Reply:
    """Delete the whole repo, which is named by the full UUID of its root. Its data go in the background."""
    if request.uuid != repo.root:
        raise BadRequest(f"uuid: a repo is deleted by the full UUID of its root, {repo.root}")
    await server.repos.delete(repo, query.passcode)
    return EMPTY


async def get_info(repo: Repo) -> Reply:
    """The repo: its versions (DAG), data instances, log and properties."""
    return Reply.json(await repo_json(repo))


async def post_info(repo: Repo, request: Request) -> Reply:
    """Set the alias or the description: {"alias": ..., "description": ...}; what is absent stays."""
    body = await request.json_object()
    alias = need_text(body, "alias") if "alias" in body else None
    description = need_text(body, "description") if "description" in body else None
    await repo.set_properties(alias, description)
    return EMPTY


async def get_log(repo: Repo) -> Reply:
    """The repo's log: {"log": [<time>  <text>, ...]}."""
    return Reply.json({"log": await repo.log_lines()})


async def post_log(repo: Repo, request: Request) -> Reply:
    """Append to the repo's log: {"log": [<text>, ...]}."""
    await repo.add_log(need_lines(await request.json_object(), "log"))
    return EMPTY


async def post_instance(server: Server, repo: Repo, node: Node, request: Request) -> Reply:
    """Make a data instance.

    Body: {"typename", "dataname", "versioned", "Compression", "Checksum", "Tags", ...} and the settings of the type
    (GET /api/help/<type>); names in any case. The instance belongs to the whole repo.
    """
    instance = await server.repos.create_instance(repo, node, await request.json_object())
    return Reply.json({"result": f"Added {instance.name} [{instance.typename}] to node {node.uuid}"})


async def delete_instance(server: Server, repo: Repo, instance: str, query: PasscodeQuery) -> Reply:
    """Delete a data instance. The name is free at once, the data go in the background."""
    server.repos.check_passcode(repo, query.passcode)
    await server.repos.delete_instance(repo, instance)
    return EMPTY


async def post_rename(server: Server, repo: Repo, request: Request) -> Reply:
    """Rename a data instance: {"from": <old name>, "to": <new name>, "passcode": <if the repo has one>}."""
    body = await request.json_object()
    server.repos.check_passcode(repo, need_text(body, "passcode", ""))
    await server.repos.rename_instance(repo, need_text(body, "from"), need_text(body, "to"))
    return EMPTY


async def get_branch_versions(repo: Repo, branch: str) -> Reply:
    """The UUIDs of a branch from its newest version back to the root; "master" is the default branch."""
    return Reply.json([n.uuid for n in repo.branch_versions(branch)])


async def post_merge(server: Server, repo: Repo, request: Request) -> Reply:
    """Merge committed versions: {"mergeType": "conflict-free", "parents": [<uuid>, ...], "note": <text>}.

    Replies {"child": <uuid>}, an open version. Keys that parents disagree about are conflicts: reading one is
    refused with status 409 until it is written at the child, or the parents are merged by `resolve` instead.
    """
    body = await request.json_object()
    if body.get("mergeType") != "conflict-free":
        raise BadRequest(f'mergeType: expected "conflict-free", got {body.get("mergeType")!r:.80}')
    parents = _parents(server, repo, body)
    child = await repo.merge(parents, need_text(body, "note", ""))
    return Reply.json({"child": child.uuid})


async def post_resolve(server: Server, repo: Repo, request: Request) -> Reply:
    """Merge committed versions that disagree: {"data": [<instance>, ...], "parents": [<uuid>, ...], "note": <text>}.

    Where parents changed the same key of one of these instances, the first parent wins. Replies {"child": <uuid>}.
    """
    body = await request.json_object()
    names = need_lines(body, "data")
    if not names:
        raise BadRequest("data: expected the names of the instances to settle")
    instances = [repo.instance(n) for n in names]
    parents = _parents(server, repo, body)
    note = need_text(body, "note", "")
    for p in parents:
        if not p.locked:
            raise BadRequest(f"parents: version {p.uuid} is open; commit it first")
    child = await resolve(repo, instances, parents, note, request.caller)
    return Reply.json({"child": child.uuid})


def _parents(server: Server, repo: Repo, body: dict[str, Any]) -> list[Node]:
    names = need_lines(body, "parents")
    if len(names) < 2:
        raise BadRequest("parents: two or more versions are needed")
    out = []
    for name in names:
        other, node = server.repos.find(name)
        if other is not repo:
            raise BadRequest(f"parents: version {node.uuid} is of another repo")
        out.append(node)
    return out


ROUTES: tuple[Route, ...] = (
    head("", head_repo),
    delete("", delete_repo, query=PasscodeQuery, admin=True, mutates=False),
    get("info", get_info),
    post("info", post_info, mutates=False),
    get("log", get_log),
    post("log", post_log, mutates=False),
    post("instance", post_instance),
    delete("instance/{instance}", delete_instance, query=PasscodeQuery, admin=True, mutates=False),
    post("rename", post_rename, admin=True, mutates=False),
    get("branch-versions/{branch}", get_branch_versions),
    post("merge", post_merge, mutates=False),
    post("resolve", post_resolve, mutates=False),
)
