"""`assert_releases_gil` tells kernels that let others run from those that do not."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
import time
import zlib
from collections.abc import Callable

import pytest

from dvid_core.testing.gil import assert_releases_gil, gil_freedom

NOISE = random.Random(1).randbytes(1 << 20)


def python_loop() -> int:
    return sum(i * i for i in range(300_000))


def small_hashes() -> bytes:
    """Inputs below 2,048 bytes are hashed with the GIL held."""
    digest = b""
    for _ in range(20_000):
        digest = hashlib.sha256(digest).digest()
    return digest


def one_release_then_python() -> None:
    time.sleep(0)
    python_loop()


@pytest.mark.parametrize("kernel", [python_loop, small_hashes, one_release_then_python])
def test_work_that_holds_the_gil_fails(kernel: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match=f"{kernel.__name__} holds the GIL"):
        assert_releases_gil(kernel)


def test_a_call_in_c_that_holds_the_gil_fails() -> None:
    numbers = [random.Random(2).random() for _ in range(100_000)]
    with pytest.raises(AssertionError, match="sorted holds the GIL"):
        assert_releases_gil(sorted, numbers)


def test_a_call_in_c_that_releases_the_gil_passes() -> None:
    assert_releases_gil(zlib.compress, NOISE * 2, level=6)


def test_short_calls_that_release_the_gil_pass() -> None:
    assert_releases_gil(zlib.compress, NOISE[:200_000], level=1)


@pytest.mark.usefixtures("busy_threads")
def test_a_noisy_neighbour_changes_no_verdict() -> None:
    assert_releases_gil(zlib.compress, NOISE * 2)
    assert gil_freedom(python_loop) < 0.2


@pytest.fixture
def busy_threads(request: pytest.FixtureRequest) -> None:
    """As many threads as there are cores compress without an end."""
    stop = threading.Event()

    def compress() -> None:
        while not stop.is_set():
            zlib.compress(NOISE)

    threads = [threading.Thread(target=compress) for _ in range(2)]
    for thread in threads:
        thread.start()

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join()

    request.addfinalizer(end)


def test_an_error_of_the_kernel_comes_through_and_the_interval_is_put_back() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(zlib.error):
        assert_releases_gil(zlib.decompress, b"no zlib at all")
    assert sys.getswitchinterval() == before
