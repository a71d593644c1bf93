"""`Channel`: what is known of a channel besides its voxels; stored for all channels of a version together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from dvid_core import BadRequest, Disputed, MergeConflict, Mutation, View

from .keys import CHANNELS

MOST = 64
"""Channels of an instance."""

SHOWN = 3
"""So many channels are the red, green and blue of the composite."""


class Channel(msgspec.Struct, frozen=True):
    """The least and the greatest value that were loaded."""

    low: int
    high: int

    def union(self, other: Channel) -> Channel:
        """The range of both."""
        return Channel(min(self.low, other.low), max(self.high, other.high))

    @property
    def is_empty(self) -> bool:
        """Whether a load was begun, but nothing came."""
        return self.high < self.low


EMPTY = Channel(2**16 - 1, 0)
"""The range of no values."""

Channels: TypeAlias = tuple[Channel, ...]


def _unpack(data: bytes) -> Channels:
    return tuple(msgspec.json.decode(data, type=list[Channel]))


async def read_channels(view: View) -> Channels:
    """The channels as `view` sees them; none before anything is loaded.

    Where parents of a merge disagree they are those of both.
    """
    [found] = await view.find_many([CHANNELS.key()])
    if found is None:
        return ()
    if not isinstance(found, Disputed):
        return _unpack(await found.read())
    nodes = view.instance.repo.dag.nodes
    known = [await read_channels(view.at(nodes[version])) for version in found.versions]
    out = known[0]
    for more in known[1:]:
        out = joined(out, more)
    return out


def joined(one: Sequence[Channel], other: Sequence[Channel]) -> Channels:
    """The channels of both."""
    return tuple(a.union(b) if a and b else a or b for a, b in zip_longest(one, other))


async def grow_channels(m: Mutation, loaded: Channels) -> None:
    """Let the channels of this version have what was loaded, as a part of the edit `m`."""
    try:
        stored = await m.get(CHANNELS.key())
        known = () if stored is None else _unpack(stored)
    except MergeConflict:
        known = await read_channels(m.view)
    if known and len(known) != len(loaded):
        raise BadRequest(f"the volume has {len(loaded)} channels, and the instance {len(known)}; they must be as many")
    grown = joined(known, loaded)
    if grown != known:
        m.put(CHANNELS.key(), msgspec.json.encode(grown))


def composite(slices: Sequence[NDArray[Any]], channels: Sequence[Channel]) -> NDArray[np.uint8]:
    """A kernel: RGBA (h, w, 4) of slices (h, w) of the first channels, each scaled by its range to 0..255."""
    out = np.zeros((*slices[0].shape, 4), np.uint8)
    out[..., 3] = 255
    for n, (values, channel) in enumerate(zip(slices, channels)):
        width = max(1, channel.high - channel.low)
        above = np.clip(values.astype(np.int32) - channel.low, 0, width)
        out[..., n] = above * 255 // width
    return out
