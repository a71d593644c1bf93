"""The command `dvid load`.

What it needs is imported when it runs: the command line asks every command for its help.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..geometry import Triple
    from .source import Source
    from .transfer import Transfer

_OFFSET = re.compile(r"(-?[0-9]{1,10})[,_](-?[0-9]{1,10})[,_](-?[0-9]{1,10})", re.ASCII)


class Failure(click.ClickException):
    """Ends the command with one sentence."""

    def show(self, file: Any = None) -> None:
        click.echo(f"dvid: {self.message}", file=file, err=True)


def parse_offset(context: click.Context, option: click.Parameter, text: str | None) -> Triple | None:
    """x,y,z of an option, as z, y, x."""
    if text is None:
        return None
    found = _OFFSET.fullmatch(text)
    if not found or any(not -(2**31) <= int(n) < 2**31 for n in found.groups()):
        raise click.BadParameter(f"expected three whole numbers X,Y,Z within 32 bits, got {text[:80]!r}")
    x, y, z = map(int, found.groups())
    return z, y, x


@click.command()
@click.argument("uuid")
@click.argument("name")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--offset",
    metavar="X,Y,Z",
    callback=parse_offset,
    help="Of the first voxel (0,0,0; of a precomputed volume the one that it says).",
)
@click.option(
    "--dataset",
    metavar="PATH",
    default="",
    help="The array in an HDF5 file, a Zarr or an N5 group; the scale of a precomputed volume.",
)
@click.option("--axes", metavar="LETTERS", default="", help="Names of an array's axes, such as zyx, czyx or xyz.")
@click.option("--as-given", is_flag=True, help="Take files in the order given instead of sorted by their names.")
@click.option("--anew", is_flag=True, help="Load all of it, whatever was loaded before.")
@click.option("--rpc", metavar="HOST:PORT", default="localhost:8000", help="Address of the server (localhost:8000).")
def load(
    uuid: str,
    name: str,
    sources: tuple[str, ...],
    offset: Triple | None,
    dataset: str,
    axes: str,
    as_given: bool,
    anew: bool,
    rpc: str,
) -> None:
    """Load a volume from files into the instance NAME at the version UUID.

    SOURCE is one of

    \b
      images, one for each section: PNG, JPEG, BMP, TIFF; files, a folder, or
        a pattern in quotes; sorted by their names, numbers by their values
      a TIFF with many sections
      an HDF5 file                               --dataset PATH
      a Zarr or N5 array: a folder, or a URL     --dataset PATH
        (file:// http:// https:// gs:// s3://)
      a volume in Neuroglancer's precomputed format, the same

    Voxels must be of the instance's kind, or fit into it without loss. They go by HTTP to a running server, where they
    replace what was there. When a load breaks off, the same command goes on where it stopped.

    Labels are packed into label blocks here, several parts at a time; the server computes lower scales and indices.

    \b
      dvid repo 3f8c new uint8blk grayscale BlockSize=64,64,64 VoxelSize=8,8,8
      dvid load 3f8c grayscale "sections/*.tif" --offset 0,0,1000
      dvid load 3f8c grayscale volume.h5 --dataset /raw
      dvid load 3f8c segmentation gs://bucket/seg --dataset 8_8_8
    """
    from PIL import Image

    from .finding import open_source
    from .remote import Remote
    from .source import BadSource
    from .transfer import Transfer

    # Sections of electron microscopes are larger than what Pillow takes for an attack; the files are the user's own.
    Image.MAX_IMAGE_PIXELS = None
    try:
        source = open_source(sources, dataset, axes, as_given=as_given)
        try:
            _load(Transfer(Remote(rpc, uuid, name), source, source.origin if offset is None else offset), source, anew)
        finally:
            source.close()
    except BadSource as err:
        raise Failure(str(err)) from None
    except OSError as err:
        raise Failure(f"{err.filename}: {err.strerror}" if err.filename else str(err)) from None


def _load(transfer: Transfer, source: Source, anew: bool) -> None:
    from .remote import Gone, Refusal

    z, y, x = source.shape
    what = f"{x} x {y} x {z} voxels of {source.kind}"
    transfer.resume()
    if anew:
        transfer.done = 0
    if transfer.done == len(transfer.slabs):
        click.echo(f"{what} from {source.name} were loaded before; --anew loads them again")
        return
    click.echo(f"{what} from {source.name}", err=True)
    if not transfer.is_kept:
        click.echo("no note is kept of what is done: a load that breaks off will begin anew", err=True)
    if transfer.done:
        click.echo(f"going on: {transfer.done} of {len(transfer.slabs)} parts are there", err=True)
    begun, total = time.monotonic(), transfer.nbytes(transfer.slabs)
    before = transfer.nbytes(transfer.slabs[: transfer.done])
    try:
        with click.progressbar(length=total, label="loading") as bar:
            bar.update(before)
            transfer.run(bar.update)
    except (Refusal, Gone, KeyboardInterrupt) as err:
        click.echo(err=True)
        if transfer.is_kept:
            click.echo(f"{transfer.done} of {len(transfer.slabs)} parts are there; the same command goes on", err=True)
        if isinstance(err, KeyboardInterrupt):
            raise click.Abort from None
        raise
    seconds = max(time.monotonic() - begun, 1e-3)
    click.echo(f"{what} loaded in {seconds:.1f} s ({(total - before) / seconds / 1e6:.0f} MB/s)")
