"""Loads and stores of words at any byte of an array, eight labels at a time, and bits of a word: what numba has no name
for.

Inner functions take arrays as pointers (`pointer`), which are indexed in the same way: an array that is passed, even to a
function that becomes part of its caller, has its references counted up and down with atomic instructions, and these
took two thirds of the time.  A kernel's arguments live as long as it runs; an array that it makes itself is named in
`keep` behind the last use of its pointer, else numba frees it before.

Offsets count bytes from the first; nothing is checked.  Words are little-endian, as on all processors that are
met here.  Eight labels are one line of a sub-block: LLVM makes of them whatever vectors the processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_BYTE, _BIT, _WORD = ir.IntType(8), ir.IntType(1), ir.IntType(64)
_EIGHT = ir.VectorType(_WORD, 8)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data if isinstance(kind, types.Array) else array


@intrinsic
def pointer(typing: Any, array: Any) -> Any:
    """A pointer to the first item of an array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _data(context, builder, signature.args[0], args[0])

    return types.CPointer(array.dtype)(array), code


@intrinsic
def keep(typing: Any, array: Any) -> Any:
    """Until here an array is not freed."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.void(array), code


def _place(context: Any, builder: Any, kind: Any, array: Any, offset: Any, word: Any) -> Any:
    data = _data(context, builder, kind, array)
    there = builder.gep(builder.bitcast(data, _BYTE.as_pointer()), [offset])
    return builder.bitcast(there, word.as_pointer())


def _load(bits: int, result: Any) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, offset: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(bits)
            found = builder.load(_place(context, builder, signature.args[0], args[0], args[1], word))
            found.align = 1
            width = result.bitwidth
            return builder.zext(found, ir.IntType(width)) if width > bits else found

        return result(array, types.int64), code

    return load


def _store(bits: int, takes: Any) -> Any:
    @intrinsic
    def store(typing: Any, array: Any, offset: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(bits)
            value = builder.trunc(args[2], word) if takes.bitwidth > bits else args[2]
            done = builder.store(value, _place(context, builder, signature.args[0], args[0], args[1], word))
            done.align = 1
            return context.get_dummy_value()

        return types.void(array, types.int64, takes), code

    return store


def _call(name: str, *more: int) -> Any:
    @intrinsic
    def found(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            flags = [ir.Constant(ir.IntType(1), m) for m in more]
            kind = ir.FunctionType(word, [word] + [ir.IntType(1)] * len(more))
            function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
            return builder.call(function, [args[0], *flags])

        return types.uint64(types.uint64), code

    return found


load8 = _load(8, types.int64)
load16 = _load(16, types.int64)
load32 = _load(32, types.int64)
load64 = _load(64, types.uint64)
store8 = _store(8, types.int64)
store16 = _store(16, types.int64)
store32 = _store(32, types.int64)
store64 = _store(64, types.uint64)
swapped = _call("llvm.bswap.i64")
"""The bytes of a word in the other order."""
reversed_bits = _call("llvm.bitreverse.i64")
ones = _call("llvm.ctpop.i64")
"""How many bits are set."""
trailing = _call("llvm.cttz.i64", 0)
"""How many zeros are below the lowest bit that is set; 64 of 0."""


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_EIGHT, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8))


def _eight(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    found = builder.load(_place(context, builder, kind, array, offset, _EIGHT))
    found.align = 1
    return found


def _mask(builder: Any, lanes: Any) -> Any:
    return builder.zext(builder.bitcast(lanes, _BYTE), _WORD)


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
        turned = builder.shuffle_vector(eight, eight, ir.Constant(ir.VectorType(ir.IntType(32), 8), [0, *range(7)]))
        return _mask(builder, builder.icmp_unsigned("==", eight, turned))

    return types.uint64(array, types.int64), code


@intrinsic
def copy8(typing: Any, array: Any, offset: Any, other: Any, place: Any) -> Any:
    """Eight labels from `place` of another array to `offset`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _eight(context, builder, signature.args[2], args[2], args[3])
        done = builder.store(eight, _place(context, builder, signature.args[0], args[0], args[1], _EIGHT))
        done.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, other, types.int64), code


@intrinsic
def fill8(typing: Any, array: Any, offset: Any, label: Any) -> Any:
    """`label` eight times."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _splat(builder, args[2])
        done = builder.store(eight, _place(context, builder, signature.args[0], args[0], args[1], _EIGHT))
        done.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), code


def _pick(bits: int) -> Any:
    @intrinsic
    def pick(typing: Any, array: Any, offset: Any, word: Any, palette: Any, pal: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lanes = builder.shl(_splat(builder, args[2]), ir.Constant(_EIGHT, [bits * x for x in range(8)]))
            labels = _data(context, builder, signature.args[3], args[3])
            first = builder.gep(labels, [args[4]])
            found = []
            for k in range(1 << bits):
                label = builder.load(builder.gep(first, [ir.Constant(_WORD, k)]))
                found.append(_splat(builder, label))
            zero = ir.Constant(_EIGHT, [0] * 8)
            for bit in reversed(range(bits)):
                # The sign of each lane is this bit of its value.
                lane = builder.shl(lanes, ir.Constant(_EIGHT, [bit] * 8))
                chosen = builder.icmp_signed("<", lane, zero)
                found = [builder.select(chosen, found[k + 1], found[k]) for k in range(0, len(found), 2)]
            done = builder.store(found[0], _place(context, builder, signature.args[0], args[0], args[1], _EIGHT))
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
            _eight(context, builder, signature.args[2], args[2], builder.add(args[3], ir.Constant(_WORD, 512 * z + 64 * y)))
            for z in range(2)
            for y in range(4)
        ]
        lanes = [ir.Constant(ir.VectorType(ir.IntType(32), 8), [*range(first, 16, 2)]) for first in range(2)]
        votes = [
            builder.shuffle_vector(lines[4 * z + y], lines[4 * z + y + 2], each)
            for z in range(2)
            for y in range(2)
            for each in lanes
        ]
        best = _most_frequent(builder, votes)
        for row in range(2):
            lane = ir.Constant(ir.VectorType(ir.IntType(32), 4), [*range(4 * row, 4 * row + 4)])
            four = builder.shuffle_vector(best, best, lane)
            to = builder.add(args[1], ir.Constant(_WORD, 64 * row))
            done = builder.store(four, _place(context, builder, signature.args[0], args[0], to, four.type))
            done.align = 1
        return context.get_dummy_value()

    return types.void(out, types.int64, array, types.int64), code
