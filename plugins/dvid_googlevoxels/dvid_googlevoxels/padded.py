"""Kernels that make the images which the service does not send: blank ones, and those beyond the edge of a volume."""

from __future__ import annotations

import io

from PIL import Image

from dvid_core import Unavailable
from dvid_voxels.images import Format


def blank(width: int, height: int, form: Format) -> bytes:
    """A black image."""
    return _encoded(Image.new("L", (width, height)), form)


def padded(data: bytes, size: tuple[int, int], width: int, height: int, left: int, top: int, form: Format) -> bytes:
    """An image of width x height with the one of `data`, which has `size` (w, h), at (left, top), black around it.

    Raises `Unavailable` when `data` is something else.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.size != size:
                raise ValueError(f"its size is {image.size}")
            out = Image.new(image.mode, (width, height))
            out.paste(image, (left, top))
    except Exception as err:
        # Decoders fail in many ways.
        raise Unavailable(f"the BrainMaps service sent no image of {size[0]} x {size[1]} pixels: {err}") from None
    return _encoded(out, form)


def _encoded(image: Image.Image, form: Format) -> bytes:
    if form.kind in ("jpeg", "bmp") and image.mode not in ("L", "RGB"):
        image = image.convert("RGB" if image.mode in ("RGBA", "P", "LA") else "L")
    file = io.BytesIO()
    image.save(file, form.kind.upper(), quality=form.quality)
    return file.getvalue()
