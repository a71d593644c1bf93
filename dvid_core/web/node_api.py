"""Routes of one version: its note, its log, its lock, and the versions made from it."""

from __future__ import annotations

from ..dag import Node
from ..repo import Repo
from ..requests import EMPTY, Reply, Request
from ..routes import Route, get, post
from .repo_api import need_lines, need_text


async def get_note(node: Node) -> Reply:
    """The note of the version: {"note": <text>}."""
    return Reply.json({"note": node.note})


async def post_note(repo: Repo, node: Node, request: Request) -> Reply:
    """Replace the note of the version: {"note": <text>}."""
    await repo.set_note(node, need_text(await request.json_object(), "note"))
    return EMPTY


async def get_log(repo: Repo, node: Node) -> Reply:
    """The log of the version: {"log": [<time>  <text>, ...]}."""
    return Reply.json({"log": await repo.log_lines(node.version)})


async def post_log(repo: Repo, node: Node, request: Request) -> Reply:
    """Append to the log of the version: {"log": [<text>, ...]}."""
    await repo.add_log(need_lines(await request.json_object(), "log"), node.version)
    return EMPTY


async def get_status(node: Node) -> Reply:
    """Whether the version is committed: {"Locked": true}."""
    return Reply.json({"Locked": node.locked})


async def get_commit(node: Node) -> Reply:
    """Whether the version is committed: {"Locked": true}."""
    return Reply.json({"Locked": node.locked})


async def post_commit(repo: Repo, node: Node, request: Request) -> Reply:
    """Commit the version: it can be read, but never be changed again.

    Body, optional: {"note": <text>, "log": [<text>, ...]}; a note replaces the one that is there. Waits for edits
    under way and for the instances that follow them. Replies {"committed": <uuid>}.
    """
    body = await request.json_object(empty=True)
    note, lines = need_text(body, "note", ""), need_lines(body, "log", optional=True)
    await repo.commit(node, note, lines, request.caller)
    return Reply.json({"committed": node.uuid})


async def post_newversion(repo: Repo, node: Node, request: Request) -> Reply:
    """Make a child of a committed version on its branch; a version has one such child.

    Body, optional: {"note": <text>, "uuid": <32 hex digits>}. Replies {"child": <uuid>}.
    """
    body = await request.json_object(empty=True)
    uuid = need_text(body, "uuid") if "uuid" in body else None
    child = await repo.new_version(node, need_text(body, "note", ""), uuid)
    return Reply.json({"child": child.uuid})


async def post_branch(repo: Repo, node: Node, request: Request) -> Reply:
    """Make a child of a committed version on a new branch.

    Body: {"branch": <name>, "note": <text>, "uuid": <32 hex digits>}; the name must be new in the repo. Replies
    {"child": <uuid>}.
    """
    body = await request.json_object()
    uuid = need_text(body, "uuid") if "uuid" in body else None
    child = await repo.branch(node, need_text(body, "branch"), need_text(body, "note", ""), uuid)
    return Reply.json({"child": child.uuid})


async def post_tag(repo: Repo, node: Node, request: Request) -> Reply:
    """Give a committed version a name: {"tag": <name>, "note": <text>}.

    Makes a locked child whose UUID is the tag. Replies {"child": <tag>}.
    """
    body = await request.json_object()
    child = await repo.tag(node, need_text(body, "tag"), need_text(body, "note", ""))
    return Reply.json({"child": child.uuid})


ROUTES: tuple[Route, ...] = (
    get("note", get_note),
    post("note", post_note),
    get("log", get_log),
    post("log", post_log),
    get("status", get_status),
    get("commit", get_commit),
    post("commit", post_commit, mutates=False),
    post("newversion", post_newversion, mutates=False),
    post("branch", post_branch, mutates=False),
    post("tag", post_tag, mutates=False),
)
