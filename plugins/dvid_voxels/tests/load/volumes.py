"""The same small volume in files of every kind.  Arrays are z, y, x."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import h5py  # type: ignore[import-untyped]
import numpy as np
import tensorstore as ts
import tifffile
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = NDArray[Any]
Triple: TypeAlias = tuple[int, int, int]
Writer: TypeAlias = Callable[[Path, Array], list[str]]
"""Writes a volume below a folder; gives the words behind `dvid load`, and options."""


def noise(size: Triple, item: str = "u1", seed: int = 0) -> Array:
    """Random voxels."""
    count = int(np.prod(size)) * np.dtype(item).itemsize
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8).view(item).reshape(size)


def sections(suffix: str, name: str = "s{}", **options: Any) -> Writer:
    """One image for each section, numbers without leading zeros."""

    def write(folder: Path, voxels: Array) -> list[str]:
        folder.mkdir()
        for z, section in enumerate(voxels):
            path = folder / f"{name.format(z)}{suffix}"
            if suffix == ".tif":
                tifffile.imwrite(path, section, **options)
            else:
                Image.fromarray(section).save(path, **options)
        return [str(folder)]

    return write


def tiff(**options: Any) -> Writer:
    """One TIFF."""

    def write(folder: Path, voxels: Array) -> list[str]:
        folder.mkdir()
        tifffile.imwrite(folder / "volume.tif", voxels, **{"photometric": "minisblack"} | options)
        return [str(folder / "volume.tif")]

    return write


def two_tiffs(folder: Path, voxels: Array) -> list[str]:
    """A TIFF with three sections and one with the others."""
    folder.mkdir()
    tifffile.imwrite(folder / "part1.tif", voxels[:3], photometric="minisblack")
    tifffile.imwrite(folder / "part2.tif", voxels[3:], photometric="minisblack")
    return [str(folder / "*.tif")]


def hdf5(folder: Path, voxels: Array) -> list[str]:
    """A compressed data set beside others."""
    folder.mkdir()
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_dataset("a/raw", data=voxels, chunks=(4, 16, 16), compression="gzip")
        file.create_dataset("table", data=np.arange(5))
    return [str(folder / "v.h5")]


def hdf5_xyz(folder: Path, voxels: Array) -> list[str]:
    """Axes in another order, and one of length 1."""
    folder.mkdir()
    with h5py.File(folder / "v.dat", "w") as file:
        file["raw"] = voxels.T[:, None]
        file["other"] = voxels
    return [str(folder / "v.dat"), "--dataset", "/raw", "--axes", "xcyz"]


def chunked(driver: str, **metadata: Any) -> Writer:
    """An array in a group."""

    def write(folder: Path, voxels: Array) -> list[str]:
        data = voxels.T if driver == "n5" else voxels
        spec = {"driver": driver, "kvstore": f"file://{folder}/group/s0/"}
        dtype = {"dtype": data.dtype.name, "shape": data.shape}
        array = ts.open(spec | ({"metadata": metadata} if metadata else {}), create=True, **dtype).result()
        array.write(data).result()
        return [str(folder / "group"), "--dataset", "s0"] if driver == "n5" else [str(folder / "group" / "s0")]

    return write


def named_axes(folder: Path, voxels: Array) -> list[str]:
    """Zarr 3 that names its axes."""
    return chunked("zarr3", dimension_names=["x", "y", "z"])(folder, voxels.T)


WRITERS: dict[str, Writer] = {
    "png": sections(".png"),
    "tif sections": sections(".tif"),
    "bmp": sections(".bmp"),
    "tiff": tiff(),
    "lzw tiff": tiff(compression="lzw"),
    "deflated tiff in tiles": tiff(compression="zlib", tile=(16, 16)),
    "imagej": tiff(imagej=True),
    "bigtiff": tiff(bigtiff=True, metadata=None),
    "tiffs": two_tiffs,
    "hdf5": hdf5,
    "hdf5 xyz": hdf5_xyz,
    "zarr2": chunked("zarr"),
    "zarr3": chunked("zarr3"),
    "zarr3 xyz": named_axes,
    "n5": chunked("n5"),
}
