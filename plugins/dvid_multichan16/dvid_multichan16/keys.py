"""Stored keys of multichan16."""

from __future__ import annotations

from typing import Any

from dvid_core import U8, ZYX, KeyClass

BLOCK = KeyClass(1, "block of a channel", U8, ZYX)
"""Number of the channel, from 1, and block coordinates -> a stored block, see `dvid_voxels.codecs`."""

EXTENTS = KeyClass(2, "extents")
"""The box that was loaded, see `dvid_voxels.extents`."""

CHANNELS = KeyClass(3, "channels")
"""How many channels there are and their ranges of values, see `dvid_multichan16.channels`."""


class ChannelBlock(KeyClass):
    """`BLOCK` of one channel: its one field is ZYX, as volumes want it."""

    __slots__ = ("channel",)

    def __init__(self, channel: int) -> None:
        super().__init__(BLOCK.number, BLOCK.about, *BLOCK.fields)
        self.channel = channel

    def key(self, *values: Any) -> bytes:
        return super().key(self.channel, *values)

    def unpack(self, tkey: bytes) -> tuple[Any, ...]:
        return super().unpack(tkey)[1:]
