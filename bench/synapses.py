"""A million synapses that follow the labels under them: loaded, followed through merges and cleaves, and verified.

    python bench/synapses.py --server NAME=URL[,PID] [--synapses 1000000] [--edits 1000]

The server must be empty and offer labelmap, annotation and labelsz.  The volume has 512 voxels a side and 4,096
supervoxels; a plain table says what body each of them belongs to, and at the end the list of every body must have
the positions that the table says, and labelsz their numbers.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from servers import Server

SIDE = 512
CUBE = 32
CUBES = SIDE // CUBE
BATCH = 10_000
PATIENCE = 60.0


def supervoxels_at(points: NDArray[Any]) -> NDArray[np.uint64]:
    """The supervoxel at each point, (n, 3) of x, y, z."""
    x, y, z = (points // CUBE).T.astype(np.uint64)
    found: NDArray[np.uint64] = 1 + x + np.uint64(CUBES) * (y + np.uint64(CUBES) * z)
    return found


def synapse(n: int, point: list[int]) -> dict[str, Any]:
    """The n-th element."""
    kind = "PreSyn" if n % 5 == 0 else "PostSyn"
    to = [*point[:2], min(SIDE - 1, point[2] + 5)]
    prop = {"conf": f"0.{n % 1000:03}"}
    return {"Pos": point, "Kind": kind, "Tags": [], "Prop": prop, "Rels": [{"Rel": f"{kind}To", "To": to}]}


class Run:
    """One run against one server."""

    def __init__(self, server: Server, synapses: int) -> None:
        self.server = server
        self.uuid = server.repo()
        self.seg = server.instance(self.uuid, "labelmap", "seg")
        self.syn = server.instance(self.uuid, "annotation", "syn")
        self.sizes = server.instance(self.uuid, "labelsz", "sizes")
        server.post(f"{self.syn}/sync", {"sync": "seg"})
        server.post(f"{self.sizes}/sync", {"sync": "syn"})
        self.random = random.Random(1)
        choice = np.random.default_rng(1).choice(SIDE**3, synapses, replace=False)
        self.points = np.stack([choice % SIDE, choice // SIDE % SIDE, choice // SIDE**2], axis=1)
        self.under = supervoxels_at(self.points)
        self.counts = np.bincount(self.under.astype(np.int64), minlength=CUBES**3 + 1)
        self.bodies: dict[int, set[int]] = {s: {s} for s in range(1, CUBES**3 + 1)}

    def load_labels(self) -> None:
        """Write the voxels, a layer of blocks at a time."""
        for z in range(0, SIDE, 64):
            grid = np.mgrid[z : z + 64, 0:SIDE, 0:SIDE].reshape(3, -1)[::-1].T
            data = supervoxels_at(grid).astype("<u8").tobytes()
            self.server.call("POST", f"{self.seg}/raw/0_1_2/{SIDE}_{SIDE}_64/0_0_{z}", data)

    def load_synapses(self) -> float:
        """Post the synapses; gives the seconds that the server took."""
        spent = 0.0
        for at in range(0, len(self.points), BATCH):
            some = self.points[at : at + BATCH].tolist()
            body = json.dumps([synapse(n, p) for n, p in enumerate(some, at)]).encode()
            began = time.perf_counter()
            self.server.call("POST", f"{self.syn}/elements", body)
            spent += time.perf_counter() - began
        return spent

    def size(self, body: int) -> int:
        """The synapses that a body should have."""
        return int(sum(self.counts[s] for s in self.bodies[body]))

    def listed(self, body: int) -> int:
        """The synapses that its list has."""
        return self.server.call("GET", f"{self.syn}/label/{body}").count(b'"Pos":')

    def wait_for(self, body: int) -> float:
        """Seconds until the list of a body is as long as it should be."""
        began, wanted = time.perf_counter(), self.size(body)
        while (found := self.listed(body)) != wanted:
            if time.perf_counter() - began > PATIENCE:
                raise SystemExit(f"body {body} has {found} synapses in its list instead of {wanted}")
        return time.perf_counter() - began

    def merge(self, target: int, merged: int) -> None:
        """Merge a body into another one."""
        self.server.post(f"{self.seg}/merge", [target, merged])
        self.bodies[target] |= self.bodies.pop(merged)

    def cleave(self, body: int, supervoxels: list[int]) -> int:
        """Cleave supervoxels from a body; gives the new one."""
        new = int(self.server.post(f"{self.seg}/cleave/{body}", supervoxels)["CleavedLabel"])
        self.bodies[new] = set(supervoxels)
        self.bodies[body] -= self.bodies[new]
        return new

    def edit(self) -> None:
        """A random merge, or a random cleave of a body that has several supervoxels."""
        several = [b for b, s in self.bodies.items() if len(s) > 3]
        if several and self.random.random() < 0.4:
            body = self.random.choice(several)
            own = sorted(self.bodies[body])
            self.cleave(body, self.random.sample(own, self.random.randrange(1, len(own) - 1)))
        else:
            self.merge(*self.random.sample(sorted(self.bodies), 2))

    def grow(self, count: int) -> tuple[int, int]:
        """Two bodies of about `count` synapses each."""
        found: list[int] = []
        for _ in range(2):
            body, *others = [b for b in sorted(self.bodies) if b not in found]
            while self.size(body) < count:
                self.merge(body, others.pop())
            self.wait_for(body)
            found.append(body)
        return found[0], found[1]

    def verify(self) -> None:
        """Compare the list of every body with the table, and the counts of labelsz."""
        body_of = np.zeros(CUBES**3 + 1, np.uint64)
        for body, supervoxels in self.bodies.items():
            body_of[list(supervoxels)] = body
        labels = body_of[self.under.astype(np.int64)]
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=np.uint64(0)))
        for body, some in zip(labels[order][starts].tolist(), np.split(order, starts[1:])):
            self.wait_for(body)
            found = json.loads(self.server.call("GET", f"{self.syn}/label/{body}"))
            if sorted(e["Pos"] for e in found) != sorted(self.points[some].tolist()):
                raise SystemExit(f"the list of body {body} has other synapses than it should")
        bodies = sorted(self.bodies)
        deadline = time.perf_counter() + PATIENCE
        while True:
            asked = json.dumps(bodies).encode()
            got = json.loads(self.server.call("GET", f"{self.sizes}/counts/AllSyn", asked))
            if [row["AllSyn"] for row in got] == [self.size(b) for b in bodies]:
                return
            if time.perf_counter() > deadline:
                raise SystemExit("labelsz has other counts than the lists")
            time.sleep(0.2)


def main() -> None:
    """Run it and print what it took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", required=True, help="NAME=URL[,PID]")
    options.add_argument("--synapses", type=int, default=1_000_000)
    options.add_argument("--edits", type=int, default=1000)
    args = options.parse_args()
    server = Server.parse(args.server)
    run = Run(server, args.synapses)
    run.load_labels()
    spent = run.load_synapses()
    print(f"{args.synapses} synapses posted in {spent:.1f} s, {args.synapses / spent:.0f} a second")
    ten = max(10, args.synapses // 100)
    one, other = run.grow(ten)
    sizes = run.size(one), run.size(other)
    began = time.perf_counter()
    run.merge(one, other)
    acknowledged = time.perf_counter()
    run.wait_for(one)
    print(f"a merge of {sizes[0]} and {sizes[1]}: shown {time.perf_counter() - acknowledged:.3f} s after its reply, "
          f"which took {acknowledged - began:.3f} s")  # fmt: skip
    seconds = []
    began = time.perf_counter()
    for _ in range(args.edits):
        before = time.perf_counter()
        run.edit()
        seconds.append(time.perf_counter() - before)
    edited = time.perf_counter()
    run.verify()
    verified = time.perf_counter()
    print(f"{args.edits} merges and cleaves in {edited - began:.1f} s, "
          f"median reply {1000 * statistics.median(seconds):.1f} ms")  # fmt: skip
    print(f"all {len(run.bodies)} lists and counts verified {verified - edited:.1f} s later")
    memory = server.resident_bytes()
    if memory is not None:
        print(f"resident memory {memory / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
