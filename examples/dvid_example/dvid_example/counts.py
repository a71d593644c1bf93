"""Reading and changing counters."""

from __future__ import annotations

from dvid_core import BadRequest, Disputed, Mutation, View

from .events import Added
from .keys import COUNT


async def read_counts(view: View) -> dict[str, int]:
    """All counters as this version sees them.  Raises `MergeConflict` when parents of a merge disagree about one."""
    counts = {}
    async for page in view.scan(*COUNT.all()):
        for tkey, found in page:
            if isinstance(found, Disputed):
                raise view.conflict(tkey, found.versions)
            (name,) = COUNT.unpack(tkey)
            counts[name] = int(await found.read())
    return counts


async def change_count(m: Mutation, name: str, n: int) -> int:
    """Stage a count that is higher by `n`, and what the log and the followers are told; gives the new count."""
    count = int(await m.get(COUNT.key(name)) or b"0") + n
    m.put(COUNT.key(name), b"%d" % count)
    m.record({"Action": "add", "Name": name, "N": n}, events=[Added(name, n)], payload=n)
    return count


async def add(view: View, name: str, n: int, limit: int) -> int:
    """Add `n` to a counter; gives the new count."""

    async def change(m: Mutation) -> int:
        count = await change_count(m, name, n)
        if not 0 <= count <= limit:
            raise BadRequest(f"n: {name!r} would be {count}, which is not from 0 to {limit}")
        return count

    done = await view.edit("add", change, locks=[name], with_id=True)
    return done.result
