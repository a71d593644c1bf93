"""The command `dvid convert`.

What it needs is imported when it runs: the command line asks every command for its help.
"""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .remote import Repo, Status, Target

POLL = 0.3
"""Seconds between looks at the server."""

STEPS = 1000

BLOCK = "64,64,64"

SOURCES = ("labelblk", "labelarray", "labelmap")


class Failure(click.ClickException):
    """Ends the command with one sentence."""

    def show(self, file: Any = None) -> None:
        click.echo(f"dvid: {self.message}", file=file, err=True)


@click.command()
@click.argument("uuid")
@click.argument("source")
@click.argument("target")
@click.option("--all-versions", is_flag=True, help="Convert each version of the repo, the oldest first.")
@click.option("--scales", type=click.IntRange(0, 255), help="Lower scales of a new labelmap (until one block is left).")
@click.option("--block-size", metavar="X,Y,Z", default=BLOCK, help=f"Of a new labelmap; multiples of 16 ({BLOCK}).")
@click.option("--stop", is_flag=True, help="Stop the conversion that is under way in the server.")
@click.option("--rpc", metavar="HOST:PORT", default="localhost:8000", help="Address of the server (localhost:8000).")
def convert(
    uuid: str, source: str, target: str, all_versions: bool, scales: int | None, block_size: str, stop: bool, rpc: str
) -> None:
    """Turn the label volume SOURCE, as it is at the version UUID, into the labelmap TARGET.

    SOURCE is a labelblk or a labelarray. TARGET is made, with its voxel size and units, unless it is there; then it
    must be empty. Voxels, label indices, max label and lower scales are made by the server, and then every voxel and
    the size of every label are compared with the source.

    When the server stops, the same command goes on where it was. Run later, it copies what is different by then.

    Needs the admin's token in DVID_ADMIN_TOKEN.

    \b
      dvid convert 3f8c bodies segmentation
      dvid convert 3f8c bodies segmentation --all-versions
    """
    from .remote import Refusal, Repo

    repo = Repo(rpc, uuid)
    info = repo.repo_info()
    if stop:
        repo.target(uuid, target).stop()
        return
    instances = info["DataInstances"]
    if source not in instances:
        raise Failure(f"there is no data instance {source!r} in this repo")
    versions = [uuid]
    if all_versions:
        nodes = info["DAG"]["Nodes"].values()
        versions = [n["UUID"] for n in sorted(nodes, key=lambda n: n["VersionID"])]
    if target not in instances:
        settings = settings_for(instances[source], scales, block_size)
        Repo(rpc, versions[0]).make(dataname=target, typename="labelmap", **settings)
        click.echo(f"{target} is made, a labelmap with {settings['MaxDownresLevel']} lower scales", err=True)
    agrees = True
    for version in versions:
        try:
            agrees &= _convert(repo.target(version, target), source, version if all_versions else "")
        except Refusal as err:
            if err.status == 401 or "admin" in err.message:
                raise Failure(f"{err.message}; set DVID_ADMIN_TOKEN") from None
            raise
    if not agrees:
        raise Failure(f"{target} is not the same as {source}; run the command again if {source} was changed meanwhile")


def settings_for(source: dict[str, Any], scales: int | None, block_size: str) -> dict[str, str]:
    """The settings of a labelmap for what a source says of itself."""
    typename, extended = source["Base"]["TypeName"], source["Extended"]
    if typename not in SOURCES:
        raise Failure(f"{source['Base']['Name']} is a {typename}; {', '.join(SOURCES)} can be converted")
    if not re.fullmatch(r"[0-9]{1,4},[0-9]{1,4},[0-9]{1,4}", block_size, re.ASCII):
        raise Failure(f"--block-size: expected three numbers X,Y,Z, got {block_size[:40]!r}")
    sides = [max(16, int(n)) for n in block_size.split(",")]
    if scales is None:
        low, high = extended.get("MinPoint") or [0, 0, 0], extended.get("MaxPoint") or [0, 0, 0]
        blocks = max((b - a + 1) / side for a, b, side in zip(low, high, sides))
        scales = max(int(extended.get("MaxDownresLevel") or 0), math.ceil(math.log2(max(1.0, blocks))))
    return {
        "BlockSize": block_size,
        "VoxelSize": ",".join(f"{n:g}" for n in extended["VoxelSize"]),
        "VoxelUnits": ",".join(extended["VoxelUnits"]),
        "MaxDownresLevel": str(scales),
        "Versioned": "true" if source["Base"].get("Versioned", True) else "false",
    }


def _convert(target: Target, source: str, version: str) -> bool:
    """Convert one version; whether the copy agrees."""
    status = target.begin(source)
    what = f"{version[:8]}: " if version else ""
    try:
        for state in ("copying", "checking"):
            with click.progressbar(length=STEPS, label=what + state) as bar:
                while status.running and status.state == state:
                    bar.update(int(STEPS * status.done) - bar.pos)
                    time.sleep(POLL)
                    status = target.status()
                if status.state != state:
                    bar.update(STEPS - bar.pos)
    except KeyboardInterrupt:
        click.echo("\nthe server goes on; the same command shows it again, with --stop it ends", err=True)
        raise click.Abort from None
    return _told(status, source, what)


def _told(status: Status, source: str, what: str) -> bool:
    if not status.ended or status.report is None:
        why = status.error or "it was stopped"
        raise Failure(f"the conversion is not at its end: {why}; the same command goes on")
    report = status.report
    click.echo(
        f"{what}{report['Blocks']} blocks of {source}, {report['Labels']} labels, {report['Voxels']} voxels; "
        f"{status.written} blocks were written, {status.same} were there"
    )
    for line in report["Examples"]:
        click.echo(f"  {line}", err=True)
    if status.state == "differs":
        wrong = f"{report['DifferentBlocks']} blocks and {report['DifferentLabels']} labels"
        click.echo(f"{wrong} are not as in {source}", err=True)
    else:
        click.echo("checked: all voxels and the sizes of all labels agree")
    return status.state == "done"


__all__ = ["Repo", "convert"]
