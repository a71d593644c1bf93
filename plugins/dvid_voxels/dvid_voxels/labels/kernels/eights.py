"""Eight labels at a time: one line of a sub-block.  LLVM makes of them whatever vectors the processor has.

Offsets and places count bytes from a pointer.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from .memory import BYTE, WORD, data_of, intrinsic, place_of

_EIGHT = ir.VectorType(WORD, 8)
_LANE = ir.IntType(32)


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_EIGHT, ir.Undefined), value, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_LANE, 8), [0] * 8))


def _eight(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    found = builder.load(place_of(context, builder, kind, array, offset, _EIGHT))
    found.align = 1
    return found


def _mask(builder: Any, lanes: Any) -> Any:
    return builder.zext(builder.bitcast(lanes, BYTE), WORD)


@intrinsic
def equal8(typing: Any, array: Any, offset: Any, label: Any) -> Any:
    """Which of the eight labels at `offset` are `label`, the first in the lowest bit."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _eight(context, builder, signature.args[0], args[0], args[1])
        return _mask(builder, builder.icmp_unsigned("==", eight, _splat(builder, args[2])))

    return types.uint64(array, types.int64, types.uint64), code


@intrinsic
def same8(typing: Any, array: Any, offset: Any, other: Any, place: Any) -> Any:
    """Which of the eight labels at `offset` are the same as those at `place` of another array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _eight(context, builder, signature.args[0], args[0], args[1])
        others = _eight(context, builder, signature.args[2], args[2], args[3])
        return _mask(builder, builder.icmp_unsigned("==", eight, others))

    return types.uint64(array, types.int64, other, types.int64), code


@intrinsic
def before8(typing: Any, array: Any, offset: Any) -> Any:
    """Which of the eight labels at `offset` are the same as the one before them; the lowest bit means nothing."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _eight(context, builder, signature.args[0], args[0], args[1])
        turned = builder.shuffle_vector(eight, eight, ir.Constant(ir.VectorType(_LANE, 8), [0, *range(7)]))
        return _mask(builder, builder.icmp_unsigned("==", eight, turned))

    return types.uint64(array, types.int64), code


@intrinsic
def copy8(typing: Any, array: Any, offset: Any, other: Any, place: Any) -> Any:
    """Eight labels from `place` of another array to `offset`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _eight(context, builder, signature.args[2], args[2], args[3])
        done = builder.store(eight, place_of(context, builder, signature.args[0], args[0], args[1], _EIGHT))
        done.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, other, types.int64), code


@intrinsic
def fill8(typing: Any, array: Any, offset: Any, label: Any) -> Any:
    """`label` eight times."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _splat(builder, args[2])
        done = builder.store(eight, place_of(context, builder, signature.args[0], args[0], args[1], _EIGHT))
        done.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), code


def _pick(bits: int) -> Any:
    @intrinsic
    def pick(typing: Any, array: Any, offset: Any, word: Any, palette: Any, pal: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lanes = builder.shl(_splat(builder, args[2]), ir.Constant(_EIGHT, [bits * x for x in range(8)]))
            labels = data_of(context, builder, signature.args[3], args[3])
            first = builder.gep(labels, [args[4]])
            found = []
            for k in range(1 << bits):
                label = builder.load(builder.gep(first, [ir.Constant(WORD, k)]))
                found.append(_splat(builder, label))
            zero = ir.Constant(_EIGHT, [0] * 8)
            for bit in reversed(range(bits)):
                # The sign of each lane is this bit of its value.
                lane = builder.shl(lanes, ir.Constant(_EIGHT, [bit] * 8))
                chosen = builder.icmp_signed("<", lane, zero)
                found = [builder.select(chosen, found[k + 1], found[k]) for k in range(0, len(found), 2)]
            done = builder.store(found[0], place_of(context, builder, signature.args[0], args[0], args[1], _EIGHT))
            done.align = 1
            return context.get_dummy_value()

        return types.void(array, types.int64, types.uint64, palette, types.int64), code

    return pick


pick1, pick2, pick3 = _pick(1), _pick(2), _pick(3)
"""The labels of a line of 1, 2, 3 bits a voxel: values from the highest bit of a word on, labels at palette[pal:]."""


_ORDER = ((0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6),
          (0, 4), (3, 7), (1, 5), (2, 6), (1, 4), (3, 6), (2, 4), (3, 5), (3, 4))  # fmt: skip
"""Comparisons that sort eight."""


def _most_frequent(builder: Any, votes: list[Any]) -> Any:
    """In each lane the label that most of the votes are; zeros have no vote, of equals the smallest wins."""
    votes = list(votes)
    for low, high in _ORDER:
        less = builder.icmp_unsigned("<", votes[low], votes[high])
        votes[low], votes[high] = (
            builder.select(less, votes[low], votes[high]),
            builder.select(less, votes[high], votes[low]),
        )
    zero, one = ir.Constant(_EIGHT, [0] * 8), ir.Constant(_EIGHT, [1] * 8)
    best, run = votes[0], one
    most = builder.select(builder.icmp_unsigned("==", best, zero), zero, one)
    for label, other in zip(votes[1:], votes):
        same = builder.icmp_unsigned("==", label, other)
        run = builder.select(same, builder.add(run, one), one)
        more = builder.and_(builder.icmp_unsigned(">", run, most), builder.icmp_unsigned("!=", label, zero))
        best, most = builder.select(more, label, best), builder.select(more, run, most)
    return best


@intrinsic
def vote8(typing: Any, out: Any, offset: Any, array: Any, place: Any) -> Any:
    """Two lines of four voxels of the next scale to `offset` and 64 bytes on: the votes of eight lines from `place` on,
    four that follow one another and four of the plane below, which is 512 bytes on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lines = [
            _eight(
                context, builder, signature.args[2], args[2], builder.add(args[3], ir.Constant(WORD, 512 * z + 64 * y))
            )
            for z in range(2)
            for y in range(4)
        ]
        lanes = [ir.Constant(ir.VectorType(_LANE, 8), [*range(first, 16, 2)]) for first in range(2)]
        votes = [
            builder.shuffle_vector(lines[4 * z + y], lines[4 * z + y + 2], each)
            for z in range(2)
            for y in range(2)
            for each in lanes
        ]
        best = _most_frequent(builder, votes)
        for row in range(2):
            lane = ir.Constant(ir.VectorType(_LANE, 4), [*range(4 * row, 4 * row + 4)])
            four = builder.shuffle_vector(best, best, lane)
            to = builder.add(args[1], ir.Constant(WORD, 64 * row))
            done = builder.store(four, place_of(context, builder, signature.args[0], args[0], to, four.type))
            done.align = 1
        return context.get_dummy_value()

    return types.void(out, types.int64, array, types.int64), code
