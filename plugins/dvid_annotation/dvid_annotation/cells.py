"""`Cells`: the elements at positions, read and changed cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dvid_core import Mutation
from dvid_voxels.geometry import Triple

from .grid import Grid, Positions, cell_keys, children
from .keys import CELL
from .rows import Item, is_large, items_of, value_of, with_item


class Reader(Protocol):
    """A `View` or a `Mutation`."""

    async def get_many(self, tkeys: Sequence[bytes]) -> list[bytes | None]: ...


class Cells:
    """Cells that were read, with changes that are not staged yet."""

    def __init__(self, reader: Reader, grid: Grid) -> None:
        self._reader, self.grid = reader, grid
        self.values: dict[bytes, bytes | None] = {}
        """What was read, with changes."""
        self._changed: dict[bytes, list[Item]] = {}
        self._new: set[bytes] = set()

    async def load(self, positions: Positions) -> list[bytes]:
        """Read the cells that hold these positions; gives the tkey of the cell of each."""
        keys = self.grid.keys(positions)
        await self._read(keys)
        level, split = 0, [i for i, key in enumerate(keys) if self.values[key] == b""]
        while split:
            level += 1
            finer = self.grid.keys(positions[split], level)
            await self._read(finer)
            for i, key in zip(split, finer):
                keys[i] = key
            split = [i for i, key in zip(split, finer) if self.values[key] == b""]
        return keys

    async def _read(self, keys: Iterable[bytes]) -> None:
        wanted = [key for key in dict.fromkeys(keys) if key not in self.values]
        self.values.update(zip(wanted, await self._reader.get_many(wanted)))

    async def find(self, positions: Positions) -> list[Item | None]:
        """The elements at these positions."""
        keys = await self.load(positions)
        known: dict[bytes, dict[Triple, Item]] = {}
        out: list[Item | None] = []
        for (z, y, x), key in zip(positions.tolist(), keys):
            if key not in known:
                known[key] = {item.position: item for item in self.items(key)}
            out.append(known[key].get((z, y, x)))
        return out

    def items(self, key: bytes) -> list[Item]:
        """The elements in a cell that was read."""
        if key in self._changed:
            return self._changed[key]
        value = self.values[key]
        return items_of(value) if value else []

    async def within(self, positions: NDArray[Any]) -> list[bytes]:
        """Read all cells in the bricks that hold these positions; gives their tkeys."""
        bricks = np.unique(self.grid.bricks(positions), axis=0)
        todo = [(brick, 0, 0) for brick in map(tuple, bricks.tolist())]
        out: list[bytes] = []
        while todo:
            keys = [CELL.key(*at) for at in todo]
            await self._read(keys)
            out += [key for key in keys if self.values[key]]
            todo = [
                (brick, below, level + 1)
                for (brick, path, level), key in zip(todo, keys)
                if self.values[key] == b""
                for below in children(path, level)
            ]
        return out

    # -- changes

    def put(self, items: Sequence[Item], keys: Sequence[bytes]) -> list[Item]:
        """Put elements into the cells of these tkeys, which were read; gives those that were at their positions."""
        displaced: list[Item] = []
        blocks = self.grid.blocks(np.array([item.position for item in items], np.int32).reshape(-1, 3)).tolist()
        values, changed, key_text = self.values, self._changed, self.grid.key_text
        for item, key, block in zip(items, keys, blocks):
            if key not in changed:
                value = values[key]
                found = with_item(value, item, key_text(block)) if value else value_of([item], self.grid)
                if found is not None:
                    values[key] = found
                    self._new.add(key)
                    continue
            displaced += self._replace(key, item)
        return displaced

    def _replace(self, key: bytes, item: Item) -> list[Item]:
        items = self._changed.get(key)
        if items is None:
            items = self._changed[key] = self.items(key)
        before = [old for old in items if old.position == item.position]
        if before:
            items[items.index(before[0])] = item
        else:
            items.append(item)
        return before

    def remove(self, key: bytes, positions: Iterable[Triple]) -> None:
        """Take elements out of a cell."""
        gone = set(positions)
        self._changed[key] = [item for item in self.items(key) if item.position not in gone]

    def change(self, key: bytes, items: list[Item]) -> None:
        """Replace the elements of a cell."""
        self._changed[key] = items

    def stage(self, m: Mutation) -> None:
        """Put what was changed into the mutation."""
        for key, items in self._changed.items():
            if items:
                self._put(m, key, value_of(items, self.grid))
            elif self.values[key] is not None or key in self._new:
                m.delete(key)
        for key in self._new - self._changed.keys():
            value = self.values[key]
            assert value
            self._put(m, key, value)

    def _put(self, m: Mutation, key: bytes, value: bytes) -> None:
        if not is_large(value):
            m.put(key, value)
            return
        brick, _, level = CELL.unpack(key)
        items = items_of(value)
        if len(items) == 1 or level == self.grid.levels:
            m.put(key, value)
            return
        m.put(key, b"")
        positions = np.array([item.position for item in items], np.int32)
        finer = cell_keys(
            np.broadcast_to(np.array(brick), (len(items), 3)), self.grid.paths(positions, level + 1), level + 1
        )
        parts: dict[bytes, list[Item]] = {}
        for item, below in zip(items, finer):
            parts.setdefault(below, []).append(item)
        for below, some in parts.items():
            self._put(m, below, value_of(some, self.grid))
