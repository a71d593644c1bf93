"""Numbers and vectors in paths and queries: what is read, and what only Python would take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvid_core.errors import BadRequest
from dvid_core.routes import LazyInt, parse_float, parse_int, parse_uint64, parse_vec3

WIDE = "\uff11\uff12"
"""Full-width digits, twelve for `int`."""
TRAPS = [
    "", " ", " 5", "5 ", "5\n", "\t5", "+5", "--5", "5-", "1_000", "1,000", WIDE, "٣", "²", "Ⅷ", "½", "0x10", "0b1",
    "1e3", "5.0", "1" * 20, "1" * 5000, "nan", "inf", "True", "None", "5\x00", "\x005", "5e", "e5",
]  # fmt: skip


@pytest.mark.parametrize("text", TRAPS)
def test_what_only_python_takes_for_a_number_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number"):
        parse_int(text)
    if text != "1" * 20:  # not beyond 2^64 - 1
        with pytest.raises(ValueError, match="expected a whole number from 0"):
            parse_uint64(text)
    with pytest.raises(ValueError, match="expected three"):
        parse_vec3(f"1_{text}_3")
    with pytest.raises(BadRequest, match="size: expected a whole number"):
        LazyInt(text).value("size")


@pytest.mark.parametrize(
    "text",
    ["", " 5", "5 ", "+5", "1_0", WIDE, "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e9999", "0x1p3",
     ".", "-", "1.2.3", "1e", "e5", "٣", "9" * 400, "1" * 5000, "1." + "0" * 5000, "1\n"],
)  # fmt: skip
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        parse_float(text)


@given(st.integers(-(10**19) + 1, 10**19 - 1))
def test_whole_numbers_are_read(n: int) -> None:
    assert parse_int(str(n)) == n


@given(st.integers(0, 2**65))
def test_unsigned_numbers_are_read_up_to_64_bits(n: int) -> None:
    if n < 2**64:
        assert parse_uint64(str(n)) == n
    else:
        with pytest.raises(ValueError, match=r"2\^64-1"):
            parse_uint64(str(n))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_are_read(x: float) -> None:
    assert parse_float(repr(x)) == x


@given(st.tuples(*[st.integers(-(2**32), 2**32)] * 3), st.sampled_from("_,"))
def test_vectors_have_three_numbers_of_32_bits(vector: tuple[int, int, int], sign: str) -> None:
    text = sign.join(map(str, vector))
    if all(-(2**31) <= n < 2**31 for n in vector):
        assert parse_vec3(text) == vector
    else:
        with pytest.raises(ValueError, match="three"):
            parse_vec3(text)


@pytest.mark.parametrize("text", ["1_2", "1_2_3_4", "", "_", "1__3", "1 2 3", "1-2-3"])
def test_vectors_of_another_length_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="three"):
        parse_vec3(text)
