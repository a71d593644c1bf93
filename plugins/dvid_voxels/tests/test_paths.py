"""What requests name in their paths."""

from __future__ import annotations

import pytest

from dvid_core import BadRequest
from dvid_voxels.geometry import Box
from dvid_voxels.paths import (
    REQUEST_BYTES,
    box_of,
    check_aligned,
    check_bytes,
    parse_blocks,
    parse_plane,
    parse_point,
    parse_size,
)


@pytest.mark.parametrize("text", ["xy", "XY", "0_1", "0,1"])
def test_a_plane_has_three_spellings_in_any_case(text: str) -> None:
    assert parse_plane(text).axes == (0, 1)


@pytest.mark.parametrize("text", ["", "arb", "2_1", "0_1_2_3", "yx", "0_0", "xyz", "\u0660_\u0661"])
def test_other_planes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_plane(text)


def test_a_slice_is_a_box_one_voxel_thick() -> None:
    assert parse_plane("xz").box((4, 5), (1, 2, 3)) == Box((3, 2, 1), (5, 1, 4))
    assert parse_plane("vol").box((4, 5, 6), (-1, 2, 3)) == Box((3, 2, -1), (6, 5, 4))


@pytest.mark.parametrize("text", ["4_-1_2", "0_3", "a", "", "4__3", "1.5_2", " 4_3", "\uff14_3", "1_000_", "9" * 11])
def test_sizes_are_positive_whole_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1_2", "1_2_3_4", "nan_1_2", "inf_1_2", "1e999_0_0", "x_1_2", "\u0661_1_2", "1_2_"])
def test_points_are_three_finite_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_point(text)


def test_points_may_have_fractions_and_exponents() -> None:
    assert parse_point("-1.5_.25_1e3") == (-1.5, 0.25, 1000.0)


@pytest.mark.parametrize(
    ("size", "offset", "field"),
    [
        ((1, 2, 3), (0, 2**31 - 2, 0), "offset"),
        ((1, 0, 1), (0, 0, 0), "size"),
        ((1, 1, 1), (0, 0, -(2**31) - 1), "offset"),
    ],
)
def test_boxes_stay_within_32_bits(size: tuple[int, int, int], offset: tuple[int, int, int], field: str) -> None:
    with pytest.raises(BadRequest, match=field):
        box_of(size, offset)


def test_limits_are_named() -> None:
    check_bytes(REQUEST_BYTES // 8, 8)
    with pytest.raises(BadRequest, match="size"):
        check_bytes(REQUEST_BYTES // 8 + 1, 8)
    with pytest.raises(BadRequest, match="offset"):
        check_aligned(Box((0, 0, 1), (8, 8, 8)), (8, 8, 8))
    with pytest.raises(BadRequest, match="size"):
        check_aligned(Box((0, 0, -8), (8, 8, 9)), (8, 8, 8))


def test_blocks_are_listed_once() -> None:
    assert parse_blocks("1,2,3,-4,5,6,1,2,3") == [(3, 2, 1), (6, 5, -4)]
    assert parse_blocks("") == []


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "1,2,3,", "1,2,99999999999", "1, 2,3"])
def test_bad_lists_of_blocks_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="blocks"):
        parse_blocks(text)
