"""What streams of blocks mean: decoders for `dvid_core.testing.replay`."""

from __future__ import annotations

from dvid_core.testing.meaning import DECODERS, Decoder

from ..volumes import frames, picture

BLOCK_DECODERS: dict[str, Decoder] = {
    **DECODERS,
    "raw-blocks": lambda data, _: frames(data),
    "image-blocks": lambda data, _: {at: picture(payload) for at, payload in frames(data).items()},
}
