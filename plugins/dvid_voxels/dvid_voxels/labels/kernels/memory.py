"""Pointers, loads and stores of words at any byte, and bits of a word: what numba has no name for.

Inner functions take arrays as pointers (`pointer`), which are indexed in the same way: an array that is passed, even to
a function that becomes part of its caller, has its references counted up and down with atomic instructions, and these
took two thirds of the time.  A kernel's arguments live as long as it runs; an array that it makes itself is named in
`keep` behind the last use of its pointer, else numba frees it before.

Offsets count bytes from the first; nothing is checked.  Words are little-endian, as on all processors met here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types

intrinsic: Callable[[Any], Any] = extending.intrinsic
"""Decorates what is written as LLVM's code."""

BYTE, WORD = ir.IntType(8), ir.IntType(64)


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data if isinstance(kind, types.Array) else array


@intrinsic
def pointer(typing: Any, array: Any) -> Any:
    """A pointer to the first item of an array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return data_of(context, builder, signature.args[0], args[0])

    kind: Any = types.CPointer
    return kind(array.dtype)(array), code


@intrinsic
def moved(typing: Any, array: Any, offset: Any) -> Any:
    """A pointer so many bytes on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = context.get_data_type(signature.args[0].dtype)
        return place_of(context, builder, signature.args[0], args[0], args[1], word)

    return array(array, types.int64), code


@intrinsic
def keep(typing: Any, array: Any) -> Any:
    """Until here an array is not freed."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.void(array), code


def place_of(context: Any, builder: Any, kind: Any, array: Any, offset: Any, word: Any) -> Any:
    data = data_of(context, builder, kind, array)
    there = builder.gep(builder.bitcast(data, BYTE.as_pointer()), [offset])
    return builder.bitcast(there, word.as_pointer())


def _load(bits: int, result: Any) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, offset: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(bits)
            found = builder.load(place_of(context, builder, signature.args[0], args[0], args[1], word))
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
            done = builder.store(value, place_of(context, builder, signature.args[0], args[0], args[1], word))
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
