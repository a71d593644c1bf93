"""The endpoints where `dvid load` keeps note of what it has sent; a datatype takes them with a key class of its own."""

from __future__ import annotations

from collections.abc import Callable

from dvid_core import EMPTY, BadRequest, KeyClass, Reply, Request, Route, View, get, parse_json, put

from .progress import BODY, Progress, all_progress, put_progress, read_progress


def note_routes(key: KeyClass, check: Callable[[View], object] | None = None) -> tuple[Route, ...]:
    """GET and PUT load, their records under `key`; `check` raises when the instance takes no voxels."""

    async def get_load(view: View, id: str = "") -> Reply:
        """How far loads by the command `dvid load` are, by their ids; or that of one <id>.

        Seen are those into this version and its ancestors.

            GET /api/node/3f8c/grayscale/load
            {"1d0a...": {"source": "00.tif to 19.tif", "offset": [0, 0, 0], "size": [1024, 1024, 20], "done": 1,
                         "of": 1, "user": "me"}}
        """
        if id:
            return Reply.json(await read_progress(view, key, id))
        return Reply.json(await all_progress(view, key))

    async def put_load(view: View, request: Request, id: str) -> Reply:
        """Note how far a load is: JSON as GET load/<id> sends it.  For the command `dvid load`."""
        if check is not None:
            check(view)
        progress: Progress = parse_json(await request.read(BODY), Progress)
        if progress.done > progress.of:
            raise BadRequest(f"done: {progress.done} parts are more than all {progress.of}")
        await put_progress(view, key, id, progress)
        return EMPTY

    return get("load/{id}", get_load), put("load/{id}", put_load)
