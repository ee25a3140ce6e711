"""The arithmetic of the calling thread: IEEE 754's default while we compute, then the caller's.

A process may have set another rounding mode, or subnormals to be taken for zero (as
``torch.set_flush_denormal`` does). Lanes never meet a subnormal, but float32 operands and results
do on their way to and from them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: x86's register as it is when a process begins: all exceptions masked, to nearest, no flushing
_MXCSR = 0x1F80


def _exchange_mxcsr(builder: ir.IRBuilder, word: Any) -> Any:
    """Intel, Software Developer's Manual, volume 1, section 10.2.3."""
    signature = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
    module, cell = builder.module, builder.alloca(_I32)
    store = cgutils.get_or_insert_function(module, signature, "llvm.x86.sse.stmxcsr")
    load = cgutils.get_or_insert_function(module, signature, "llvm.x86.sse.ldmxcsr")
    builder.call(store, [cell])
    before = builder.zext(builder.load(cell, typ=_I32), _I64)
    builder.store(builder.trunc(word, _I32), cell)
    builder.call(load, [cell])
    return before


def _exchange_fpcr(builder: ir.IRBuilder, word: Any) -> Any:
    """Arm, Architecture Reference Manual for A-profile, register FPCR."""
    read, write = ir.FunctionType(_I64, []), ir.FunctionType(ir.VoidType(), [_I64])
    module = builder.module
    get = cgutils.get_or_insert_function(module, read, "llvm.aarch64.get.fpcr")
    put = cgutils.get_or_insert_function(module, write, "llvm.aarch64.set.fpcr")
    before = builder.call(get, [])
    builder.call(put, [word])
    return before


@intrinsic
def _exchange(_context: Any, word: Any) -> Any:
    """Set the unit's control word, the default one if it is negative; the one before."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        triple = context.codegen().magic_tuple()[0]
        usual = builder.icmp_signed("<", args[0], _I64(0))
        if triple.startswith("x86"):
            return _exchange_mxcsr(builder, builder.select(usual, _I64(_MXCSR), args[0]))
        if triple.startswith(("aarch64", "arm64")):
            return _exchange_fpcr(builder, builder.select(usual, _I64(0), args[0]))
        return args[0]  # no known way to set another one

    return types.int64(types.int64), codegen


@njit(cache=True)
def exchange(word: Any) -> Any:
    """Set this thread's control word, to the default if it is negative; the one before."""
    return _exchange(word)  # type: ignore[call-arg]  # numba gives the context


@contextmanager
def usual_arithmetic() -> Iterator[None]:
    """Rounding to nearest and subnormals, in this thread and those that it starts."""
    before = exchange(-1)
    try:
        yield
    finally:
        exchange(before)
