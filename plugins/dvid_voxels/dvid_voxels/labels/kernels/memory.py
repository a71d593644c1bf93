"""Loads and stores of words at any byte of an array, and counting of bits: what numba has no name for.

Offsets count bytes from the array's first; nothing is checked.  Words are little-endian (as all processors that numba
compiles for here).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_BYTE = ir.IntType(8)


def _place(context: Any, builder: Any, kind: Any, array: Any, offset: Any, word: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    at = builder.gep(builder.bitcast(data, _BYTE.as_pointer()), [offset])
    return builder.bitcast(at, word.as_pointer())


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
