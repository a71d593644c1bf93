"""Which axis of an array is which."""

from __future__ import annotations

from collections.abc import Sequence

from .source import BadSource


def spatial(name: str, shape: Sequence[int], axes: str) -> tuple[int, int, int]:
    """The places of z, y, x among the axes of an array, which are named by the letters of `axes`.

    Raises `BadSource` unless all other axes have the length 1.
    """
    letters = axes.lower()
    if len(letters) != len(shape) or len(set(letters)) != len(letters) or not {"z", "y", "x"} <= set(letters):
        raise BadSource(
            f"{name} has {len(shape)} axes, of {', '.join(map(str, shape))}: name each by a letter with --axes, z, y "
            f"and x among them, such as --axes {_guess(len(shape))}"
        )
    if wide := [f"{letter} has {n}" for letter, n in zip(letters, shape) if letter not in "zyx" and n != 1]:
        raise BadSource(f"{name}: besides z, y and x an axis must have the length 1, but {', '.join(wide)}")
    return letters.index("z"), letters.index("y"), letters.index("x")


def default_axes(count: int) -> str:
    """The names of the axes of an array in C order that says nothing of them."""
    return "zyx" if count == 3 else ""


def _guess(count: int) -> str:
    return "".join(chr(ord("a") + n) for n in range(count - 3)) + "zyx" if 3 <= count <= 20 else "zyx"
