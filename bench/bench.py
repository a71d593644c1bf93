"""The same work on two servers side by side, as ratios.

    python bench/bench.py --server NAME=URL[,PID] --server NAME=URL[,PID] [--pin] [--repeat 3] [--only PREFIX,...]

The first server is judged, the second is what it is compared with.  bench/README.md says how to start them and what
the columns mean.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from load import Flood, Row, missing_programs
from servers import Failed, Server

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Measured:
    """One row, once, on one server."""

    rate: float
    """Operations a second."""
    cpu: float | None
    """Seconds of CPU of the server per operation; None when its process is not known."""
    latency: str


def all_rows() -> list[Row]:
    """The rows of all files `rows_<topic>.py` beside this one."""
    names = sorted(path.stem for path in HERE.glob("rows_*.py"))
    return [row for name in names for row in importlib.import_module(name).ROWS]


def measure(server: Server, row: Row, repetition: int) -> Measured:
    """Run a row once."""
    place = server.prepared(row.prepare)
    before = server.cpu_seconds()
    done = row.load.run(server, place, repetition)
    after = server.cpu_seconds()
    cpu = (after - before) / done.operations if after is not None and before is not None else None
    return Measured(done.operations / done.seconds, cpu, done.latency)


def compare(servers: list[Server], row: Row, repeat: int) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Run a row on one server and then on the other, again and again; what was measured, and what failed."""
    found: dict[str, list[Measured]] = {s.name: [] for s in servers}
    failed: dict[str, str] = {}
    for repetition in range(repeat):
        # Turns are taken, so that what slows the machine down for a while hits both.
        for server in servers if repetition % 2 == 0 else servers[::-1]:
            if server.name not in failed:
                try:
                    found[server.name].append(measure(server, row, repetition))
                except Failed as error:
                    failed[server.name] = str(error)
    return found, failed


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """The median and the range of some values."""
    if not values:
        return "-"
    low, high = (form.format(v) for v in (min(values), max(values)))
    return f"{form.format(statistics.median(values))} ({low}-{high})"


def line(row: Row, servers: list[Server], found: dict[str, list[Measured]], failed: dict[str, str]) -> str:
    """One row of the table."""
    out = f"{row.name:44}"
    for server in servers:
        runs = found[server.name]
        if server.name in failed or not runs:
            out += f"{'failed':>12}{'':>11}"
            continue
        cpu = [m.cpu * 1e3 for m in runs if m.cpu is not None]
        out += f"{statistics.median(m.rate for m in runs):12.1f}{statistics.median(cpu) if cpu else float('nan'):11.4f}"
    if len(servers) == 2 and not failed:
        pairs = list(zip(found[servers[0].name], found[servers[1].name], strict=True))
        out += f"   {spread([a.rate / b.rate for a, b in pairs]):18}"
        out += f"  {spread([b.cpu / a.cpu for a, b in pairs if a.cpu and b.cpu]):18}"
        out += f"  {' | '.join(found[s.name][-1].latency for s in servers)}"
    return out


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="append", type=Server.parse, default=[], help="NAME=URL[,PID], twice")
    parser.add_argument("--repeat", type=int, default=3, help="how often each row is run on each server")
    parser.add_argument("--pin", action="store_true", help="servers on the first core, load on the others")
    parser.add_argument("--only", default="", help="rows whose names begin so, separated by commas")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--list", action="store_true", help="name the rows and what they do")
    chosen = parser.parse_args(arguments)
    if not chosen.list and not 1 <= len(chosen.server) <= 2:
        parser.error("--server: name one server, or two to be compared")
    if chosen.pin and any(s.process is None for s in chosen.server):
        parser.error("--pin: the servers' process ids are needed, NAME=URL,PID")
    return chosen


def pin(servers: list[Server]) -> None:
    """The servers share one core, which shows what one core can do; the load has the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        sys.exit("--pin: this machine has one core only")
    os.sched_setaffinity(0, others)
    for server in servers:
        server.pin([first])


def main(arguments: list[str]) -> int:
    """Run, print the table, and give the exit status."""
    chosen = parse_arguments(arguments)
    prefixes = tuple(p for p in chosen.only.split(",") if p) or ("",)
    rows = [row for row in all_rows() if row.name.startswith(prefixes)]
    if chosen.list:
        for row in rows:
            print(f"{row.name:44} {row.about}")
        return 0
    if any(isinstance(row.load, Flood) for row in rows) and (missing := missing_programs()):
        sys.exit(missing)
    servers: list[Server] = chosen.server
    if chosen.pin:
        pin(servers)
    heads = "".join(f"{s.name[:11]:>12}{'cpu ms/op':>11}" for s in servers)
    print(f"{'operations per second':44}{heads}   {'ratio':18}  {'cpu ratio':18}  latency", flush=True)
    report: dict[str, Any] = {}
    status = 0
    for row in rows:
        found, failed = compare(servers, row, chosen.repeat)
        print(line(row, servers, found, failed), flush=True)
        for name, why in failed.items():
            status = 1
            print(f"    {name}: {why}", flush=True)
        report[row.name] = {name: [asdict(m) for m in runs] for name, runs in found.items()}
    for server in servers:
        if (size := server.resident_bytes()) is not None:
            print(f"{server.name}: {size / 2**20:.0f} MiB resident at the end")
            report.setdefault("resident bytes", {})[server.name] = size
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
