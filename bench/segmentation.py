"""A whole segmentation goes into a labelmap, by blocks and by raw, and must come back: times, memory and checks.

    python bench/segmentation.py FILE

FILE is an array (z, y, x) of unsigned integers: .npy, or .ckl or .ckl.gz in the form of crackle (x, y, z; it needs
`pip install crackle-codec`).  Sides are multiples of 64.  A server of this installation is started for it.

What is compared is computed with numpy alone: every voxel of every scale, the size of each body, the index of some,
the max label, and points.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray
from servers import Failed, Server
from start import OURS, first_answer, free_port

from dvid_voxels import labels

SIDE = 64
LEVELS = 3
THREADS = 2
POINTS = 10_000

Array = NDArray[Any]


def read(path: Path) -> Array:
    """The segmentation (z, y, x) of uint64."""
    if path.suffix == ".npy":
        return np.ascontiguousarray(np.load(path), "<u8")
    import crackle  # type: ignore[import-not-found]

    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return np.ascontiguousarray(crackle.decompress(data).T, "<u8")


def halved(voxels: Array) -> Array:
    """The next scale: zeros do not vote, most votes win, of equals the smallest label."""
    z, y, x = (s // 2 for s in voxels.shape)
    out = np.empty((z, y, x), np.uint64)
    for at in range(0, z, 16):
        part = voxels[2 * at : 2 * (at + 16)]
        votes = np.stack([part[a::2, b::2, c::2] for a, b, c in product(range(2), repeat=3)])
        best, most = np.zeros(votes.shape[1:], np.uint64), np.zeros(votes.shape[1:], np.uint8)
        for label in votes:
            count = (votes == label).sum(axis=0, dtype=np.uint8)
            better = (label > 0) & ((count > most) | ((count == most) & (label < best)))
            best[better], most[better] = label[better], count[better]
        out[at : at + 16] = best
    return out


@contextmanager
def started() -> Iterator[tuple[Server, Peak]]:
    """A server over an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = shlex.split(OURS.format(port=port, folder=f"{folder}/data"))
        with open(f"{folder}/log", "wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            try:
                first_answer(process, port, time.perf_counter() + 60)
                yield Server("ours", f"http://127.0.0.1:{port}", process.pid), Peak(process.pid)
            finally:
                process.terminate()
                process.wait(60)


class Peak:
    """The largest resident memory of a process while something is done."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def during(self, work: Callable[..., Any], *args: Any) -> tuple[float, float, float]:
        """Seconds, CPU seconds and MiB."""
        sizes, done = [self._process.memory_info().rss], threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                sizes.append(self._process.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        before = self._process.cpu_times()
        begin = time.perf_counter()
        try:
            work(*args)
        finally:
            seconds = time.perf_counter() - begin
            after = self._process.cpu_times()
            done.set()
            watching.join()
        return seconds, after.user + after.system - before.user - before.system, max(sizes) / 2**20


def as_blocks(voxels: Array) -> list[bytes]:
    """Bodies of POST blocks: cubes of 4 x 4 x 4 blocks."""
    step, bodies = 4 * SIDE, []
    for z, y, x in product(*(range(0, s, step) for s in voxels.shape)):
        part = voxels[z : z + step, y : y + step, x : x + step]
        names = product(*(range(o // SIDE, (o + s) // SIDE) for o, s in zip((z, y, x), part.shape)))
        blocks = labels.encode_blocks(part, (SIDE,) * 3)  # type: ignore[arg-type]
        bodies.append(b"".join(labels.frame(at, labels.gzipped(b)) for at, b in zip(names, blocks)))
    return bodies


def by_blocks(server: Server, place: str, bodies: list[bytes]) -> None:
    """All of it as label blocks."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda body: server.call("POST", f"{place}/blocks?downres=true", body), bodies))


def by_raw(server: Server, place: str, voxels: Array) -> None:
    """All of it as voxels, a layer of blocks at a time."""
    _, y, x = voxels.shape
    for z in range(0, len(voxels), SIDE):
        layer = voxels[z : z + SIDE]
        server.call("POST", f"{place}/raw/0_1_2/{x}_{y}_{len(layer)}/0_0_{z}", layer.tobytes())


def check(server: Server, place: str, scales: list[Array]) -> None:
    """Exit with an error unless what is read is what was written."""
    voxels = scales[0]
    for scale, wanted in enumerate(scales):
        z, y, x = wanted.shape
        for at in range(0, z, 2 * SIDE):
            depth = min(2 * SIDE, z - at)
            path = f"{place}/raw/0_1_2/{x}_{y}_{depth}/0_0_{at}?scale={scale}"
            got = np.frombuffer(server.call("GET", path), "<u8").reshape(depth, y, x)
            demand(np.array_equal(got, wanted[at : at + depth]), f"voxels of scale {scale} from z={at} on")
    names, sizes = np.unique(voxels, return_counts=True)
    names, sizes = names[names > 0], sizes[names > 0]
    pairs = np.frombuffer(server.call("GET", f"{place}/listlabels?sizes=true"), "<u8").reshape(-1, 2)
    demand(np.array_equal(pairs[:, 0], names) and np.array_equal(pairs[:, 1], sizes), "sizes of all bodies")
    asked = server.call("GET", f"{place}/sizes", json.dumps(names.tolist()).encode())
    demand(json.loads(asked) == sizes.tolist(), "GET sizes")
    demand(json.loads(server.call("GET", f"{place}/maxlabel"))["maxlabel"] == int(names[-1]), "max label")
    rng = np.random.default_rng(1)
    points = np.stack([rng.integers(0, s, POINTS) for s in voxels.shape], axis=-1)
    found = json.loads(server.call("GET", f"{place}/labels", json.dumps(points[:, ::-1].tolist()).encode()))
    demand(found == voxels[tuple(points.T)].tolist(), "labels of points")
    for label in rng.choice(names, 20).tolist():
        blocks = {tuple(int(n) for n in at) for at in np.argwhere(voxels == label) // SIDE}
        reply = json.loads(server.call("GET", f"{place}/sparsevol-size/{label}"))
        demand(reply["numblocks"] == len(blocks), f"blocks of body {label}")


def demand(holds: bool, what: str) -> None:
    """Exit with an error unless it holds."""
    if not holds:
        sys.exit(f"WRONG: {what}")


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    voxels = read(parser.parse_args(arguments).file)
    scales = [voxels]
    for _ in range(LEVELS):
        scales.append(halved(scales[-1]))
    bodies = as_blocks(voxels)
    print(f"{voxels.shape} voxels, {len(np.unique(voxels))} labels, {sum(map(len, bodies)) / 1e6:.1f} MB as blocks")
    print(f"{'':10}{'seconds':>10}{'Mvoxels/s':>12}{'CPU s':>8}{'peak MiB':>10}")
    for way, write in (("blocks", lambda *a: by_blocks(*a, bodies)), ("raw", lambda *a: by_raw(*a, voxels))):
        with started() as (server, peak):
            place = server.instance(server.repo(), "labelmap", "seg", MaxDownresLevel=str(LEVELS))
            try:
                # The kernels are loaded in the background; a first request waits for them.
                server.call("POST", f"{place}/raw/0_1_2/64_64_64/0_0_0", bytes(8 * SIDE**3))
                seconds, cpu, size = peak.during(write, server, place)
                line(way, seconds, voxels, cpu, size)
                seconds, cpu, size = peak.during(check, server, place, scales)
                line("checked", seconds, voxels, cpu, size)
            except Failed as error:
                sys.exit(str(error))


def line(what: str, seconds: float, voxels: Array, cpu: float, size: float) -> None:
    """One row of the table."""
    print(f"{what:10}{seconds:10.2f}{voxels.size / seconds / 1e6:12.1f}{cpu:8.1f}{size:10.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
