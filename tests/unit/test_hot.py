"""Large values that are kept in memory: which stay, how much they take, and that none is older than the store."""

from __future__ import annotations

from dvid_core.storage.base import Batch
from dvid_core.storage.hot import HotValues

ROOM = 64_000
"""A short queue of 16,000, a long one of 48,000."""


def key(n: int) -> bytes:
    return b"%04d" % n


def read(hot: HotValues, n: int, size: int = 1000) -> bool:
    """Read a value as a store does; whether it was there."""
    if hot.get(key(n)) is not None:
        return True
    with hot.reading() as under_way:
        pass
    hot.keep([key(n)], [bytes(size)], under_way)
    return False


def held(hot: HotValues, count: int) -> list[int]:
    """Which of the first values are there; looking changes nothing."""
    return [n for n in range(count) if key(n) in hot._long or key(n) in hot._short]


def test_a_value_is_found_until_it_is_written() -> None:
    hot = HotValues(ROOM, 10)
    assert not read(hot, 1)
    assert read(hot, 1)
    batch = Batch()
    batch.put(key(1), b"new")
    hot.drop(batch)
    assert hot.get(key(1)) is None


def test_a_deleted_range_is_dropped() -> None:
    hot = HotValues(ROOM, 10)
    for n in range(6):
        read(hot, n)
    read(hot, 2)
    batch = Batch()
    batch.delete_range(key(2), key(4))
    hot.drop(batch)
    assert held(hot, 6) == [0, 1, 4, 5]


def test_what_is_written_while_it_is_read_is_not_kept() -> None:
    hot = HotValues(ROOM, 10)
    put, swept = Batch(), Batch()
    put.put(key(1), b"new")
    swept.delete_range(key(2), key(3))
    with hot.reading() as first, hot.reading() as second:
        hot.drop(put)
    hot.keep([key(1), key(5)], [bytes(1000)] * 2, first)
    assert held(hot, 9) == [5]
    hot.keep([key(6)], [bytes(1000)], second)
    with hot.reading() as third:
        hot.drop(swept)
    hot.keep([key(2)], [bytes(1000)], third)
    assert held(hot, 9) == [5, 6]


def test_one_pass_over_many_values_takes_the_short_queue_only_and_leaves_the_others() -> None:
    hot = HotValues(ROOM, 10)
    for _ in range(2):
        for n in range(10):
            read(hot, n)
    for n in range(1000, 2000):
        read(hot, n)
    assert held(hot, 10) == list(range(10))
    assert sum(map(len, hot._short.values())) == 16_000


def test_what_is_read_again_soon_after_it_left_stays() -> None:
    hot = HotValues(ROOM, 10)
    for _ in range(2):
        for n in range(40):
            read(hot, n)
    assert held(hot, 40) == list(range(40))


def test_never_more_is_held_than_there_is_room_for() -> None:
    hot = HotValues(ROOM, 10)
    for _ in range(4):
        for n in range(90):
            read(hot, n, 100 + 7 * n)
            held_bytes = sum(map(len, [*hot._short.values(), *hot._long.values()]))
            assert held_bytes <= ROOM
            assert sum(hot._gone.values()) <= ROOM
    for n in range(90):
        batch = Batch()
        batch.delete(key(n))
        hot.drop(batch)
    assert (hot._short_room, hot._long_room) == (16_000, 48_000)


def test_values_that_are_small_or_would_push_out_many_are_not_kept() -> None:
    hot = HotValues(ROOM, 10)
    read(hot, 1, 9)
    read(hot, 2, 2001)
    read(hot, 3, 2000)
    assert held(hot, 9) == [3]
