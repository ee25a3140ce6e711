"""A register tile of accumulators in LLVM's vector instructions: the loop everything waits for.

Rows × vectors of running sums stay in registers while K goes by. Written as explicit vectors,
because loops over scalars reach half of the machine (the vectoriser prefers 256 bits and spills).
LLVM brings the vectors to what the target has, so one text serves AVX-512, AVX2, SSE and NEON;
what differs is the size of the tile. The bits are the same everywhere:

- every product is exact in its lane, so it makes no difference whether multiplication and addition
  are fused (``llvm.fmuladd``);
- no fast-math flag is set, so nothing is reordered or contracted;
- no subnormal of a lane ever occurs (``ways.py``), which a process may have set to flush;
- the lane's rounding mode is set around a function that is never inlined.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from analysis.emulation.emitter import I32, I64, Emitter, declared, load, mixed, splat, store
from analysis.emulation.steps import Draws, Lane, Step, Word

ROWS = 4  #: of a register tile
PANEL = 64  #: columns of a packed panel; a multiple of every tile's

_POINTER, _FIRST = ir.PointerType(), I64(0)


class Machine(NamedTuple):
    """The tile's width in vectors, and theirs in bits."""

    vector_bits: int
    vectors: int


def machine_of(features: str) -> Machine:
    """The tile that the registers of a target hold, from LLVM's list of its features."""
    if "+avx512f" in features:
        return Machine(512, 4)  # 16 of 32 registers are sums
    return Machine(256 if "+avx2" in features else 128, 2)  # 8 of 16


def _emitter(builder: ir.IRBuilder, step: Step, machine: Machine, words: Any) -> Emitter:
    """The emitter of a step whose constants stand at ``words``."""
    lane_bits = 32 if step.lane is Lane.FLOAT32 else 64
    kind = ir.IntType(lane_bits)
    loaded = {name: load(builder, words, kind, ir.Constant(I64, int(name))) for name in Word}
    return Emitter(builder, step, machine.vector_bits // lane_bits, loaded)


def _new_function(module: ir.Module, name: str, kinds: Sequence[Any]) -> tuple[Any, bool]:
    """A function of the module that is never inlined, and whether its body is still to be written.

    The rounding mode is set around it; inlined, its operations could move past that.
    """
    signature = ir.FunctionType(ir.VoidType(), kinds)
    function = cgutils.get_or_insert_function(module, signature, name)
    if not function.is_declaration:
        return function, False
    function.linkage = "internal"
    function.attributes.add("noinline")
    return function, True


def _name(purpose: str, step: Step) -> str:
    parts = (step.lane, step.method, step.draws, f"floor{step.floor:d}", f"clamp{step.clamp:d}")
    return f"partialsum.{purpose}.{'.'.join(parts)}"


class _Sums(NamedTuple):
    """The running sums of a tile, in registers once LLVM is done, and the hash's column words."""

    cells: list[list[Any]]
    places: list[Any]


def _tile_function(module: ir.Module, step: Step, machine: Machine) -> Any:
    """void(a, a's row stride, panel, sums, words, length, turns, their row stride, places, first).

    Adds the products of ROWS rows of ``a`` and of some columns of the packed panel to ``sums``,
    (ROWS, PANEL). ``first`` is the first product's step, counted from that of the first turn.
    """
    kinds = [_POINTER, I64, *[_POINTER] * 3, I64, _POINTER, I64, _POINTER, I64]
    function, new = _new_function(module, _name("tile", step), kinds)
    if not new:
        return function
    a, stride, panel, sums, words, length, turns, turn_stride, places, first = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    emit = _emitter(build, step, machine, words)
    held = _read(emit, machine, sums, places)

    def steps(k: Any, unrolled: int) -> None:
        """``unrolled`` products from number k on, in every row and column."""
        hashes = [
            _hashes(emit, turns, build.mul(turn_stride, I64(row)), build.add(first, k), held)
            for row in range(ROWS)
        ]
        for ahead in range(unrolled):
            at = build.add(k, I64(ahead))
            parity: Any = ahead if step.draws is Draws.PAIRED else build.add(first, at)
            _products(emit, machine, (a, stride, panel), at, held, (hashes, parity))

    if step.draws is Draws.PAIRED:
        _each(build, build.and_(length, I64(-2)), 2, lambda k: steps(k, 2))
        with build.if_then(build.trunc(length, ir.IntType(1))):
            steps(build.sub(length, I64(1)), 1)
    else:
        _each(build, length, 1, lambda k: steps(k, 1))
    for row, cells in enumerate(held.cells):
        for column, cell in enumerate(cells):
            place = I64(row * PANEL + column * emit.count)
            store(build, build.load(cell, typ=emit.real), sums, place)
    build.ret_void()
    return function


def _each(builder: ir.IRBuilder, stop: Any, by: int, body: Callable[[Any], None]) -> None:
    with cgutils.for_range_slice(builder, I64(0), stop, I64(by), I64) as (k, _):
        body(k)


def _read(emit: Emitter, machine: Machine, sums: Any, places: Any) -> _Sums:
    build, scalar = emit.builder, emit.real.element
    cells: list[list[Any]] = []
    for row in range(ROWS):
        cells.append([])
        for column in range(machine.vectors):
            cell = build.alloca(emit.real)
            place = I64(row * PANEL + column * emit.count)
            build.store(load(build, sums, emit.real, place, scalar), cell)
            cells[-1].append(cell)
    if emit.step.draws is Draws.NONE:
        return _Sums(cells, [])
    kind = ir.VectorType(I32, emit.count)
    columns = range(machine.vectors)
    return _Sums(cells, [load(build, places, kind, I64(c * emit.count), I32) for c in columns])


def _hashes(emit: Emitter, turns: Any, row_base: Any, step: Any, held: _Sums) -> list[Any]:
    """The hash words of a row at a step, a vector for each of the tile's columns."""
    if emit.step.draws is Draws.NONE:
        return []
    build = emit.builder
    counter = step if emit.step.draws is Draws.WHOLE else build.lshr(step, I64(1))
    turn = load(build, turns, I32, build.add(row_base, counter))
    turned = splat(build, turn, emit.count)
    return [mixed(build, build.add(turned, place), emit.count) for place in held.places]


def _products(
    emit: Emitter,
    machine: Machine,
    operands: tuple[Any, Any, Any],
    k: Any,
    held: _Sums,
    chances: tuple[list[list[Any]], Any],
) -> None:
    """Product number k, added in every row and column."""
    build, scalar = emit.builder, emit.real.element
    a, stride, panel = operands
    hashes, parity = chances
    base = build.mul(k, I64(PANEL))
    columns = range(machine.vectors)
    right = [
        load(build, panel, emit.real, build.add(base, I64(c * emit.count)), scalar) for c in columns
    ]
    for row, cells in enumerate(held.cells):
        place = build.add(build.mul(stride, I64(row)), k)
        left = emit.splat(load(build, a, scalar, place))
        for column in columns:
            chance = emit.chance(hashes[row][column], parity) if hashes[row] else None
            s = build.load(cells[column], typ=emit.real)
            build.store(emit.add(s, left, right[column], chance), cells[column])


def _join_function(module: ir.Module, inner: Lane, step: Step, machine: Machine) -> Any:
    """void(sums, out, words, turns, their row stride, places, step's parity).

    Adds chunk sums (ROWS, PANEL) to ``out`` (ROWS, PANEL) and sets them to zero.
    """
    kinds = [*[_POINTER] * 4, I64, _POINTER, I64]
    function, new = _new_function(module, _name(f"join.{inner}", step), kinds)
    if not new:
        return function
    sums, out, words, turns, turn_stride, places, parity = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    emit = _emitter(build, step, machine, words)
    narrow = ir.FloatType() if inner is Lane.FLOAT32 else ir.DoubleType()
    source = ir.VectorType(narrow, emit.count)
    hashed = ir.VectorType(I32, emit.count)
    for row in range(ROWS):

        def column(at: Any, row: int = row) -> None:
            place = build.add(at, I64(row * PANEL))
            p = load(build, sums, source, place, narrow)
            store(build, source(None), sums, place)
            wide = p if source == emit.real else build.fpext(p, emit.real)
            chance = None
            if step.draws is not Draws.NONE:
                turn = load(build, turns, I32, build.mul(turn_stride, I64(row)))
                key = build.add(
                    splat(build, turn, emit.count), load(build, places, hashed, at, I32)
                )
                chance = emit.chance(mixed(build, key, emit.count), parity)
            s = load(build, out, emit.real, place, emit.real.element)
            store(build, emit.add(s, wide, None, chance), out, place)

        _each(build, I64(PANEL), emit.count, column)
    build.ret_void()
    return function


def _machine(context: Any) -> Machine:
    _triple, _name, features = context.codegen().magic_tuple()
    return machine_of(features)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of element ``offset`` of a contiguous array."""
    data = context.make_array(kind)(context, builder, array).data
    element = context.get_data_type(kind.dtype)
    return builder.gep(data, [offset], source_etype=element)


@intrinsic
def tile(
    _context: Any,
    step: Any,
    a: Any,
    a_at: Any,
    stride: Any,
    panel: Any,
    panel_at: Any,
    sums: Any,
    sums_at: Any,
    words: Any,
    length: Any,
    turns: Any,
    turns_at: Any,
    turn_stride: Any,
    places: Any,
    places_at: Any,
    first: Any,
) -> Any:
    """:func:`_tile_function` on arrays, each with the offset of its first element."""
    i = types.int64
    signature = types.void(step, a, i, i, panel, i, sums, i, words, i, turns, i, i, places, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        machine = _machine(context)
        function = _tile_function(builder.module, kinds[0].step, machine)

        def at(index: int, offset: Any = _FIRST) -> Any:
            return _pointer(context, builder, kinds[index], args[index], offset)

        turned = at(10, args[11])
        call = [at(1, args[2]), args[3], at(4, args[5]), at(6, args[7]), at(8), args[9]]
        builder.call(function, [*call, turned, args[12], at(13, args[14]), args[15]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def tile_columns(_context: Any, step: Any) -> Any:
    """Columns of a tile of this step's lane on this machine."""

    def codegen(context: Any, _builder: Any, signature: Any, _args: Any) -> Any:
        machine = _machine(context)
        lane_bits = 32 if signature.args[0].step.lane is Lane.FLOAT32 else 64
        return I64(machine.vectors * machine.vector_bits // lane_bits)

    return types.int64(step), codegen


@intrinsic
def join(
    _context: Any,
    step: Any,
    sums: Any,
    sums_at: Any,
    out: Any,
    words: Any,
    turns: Any,
    turns_at: Any,
    turn_stride: Any,
    places: Any,
    places_at: Any,
    parity: Any,
) -> Any:
    """:func:`_join_function` on arrays; ``sums`` and ``out`` have the same offset."""
    i = types.int64
    signature = types.void(step, sums, i, out, words, turns, i, i, places, i, i)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        inner = Lane(kinds[1].dtype.name)
        function = _join_function(builder.module, inner, kinds[0].step, _machine(context))

        def at(index: int, offset: Any = _FIRST) -> Any:
            return _pointer(context, builder, kinds[index], args[index], offset)

        call = [at(1, args[2]), at(3, args[2]), at(4), at(5, args[6]), args[7]]
        builder.call(function, [*call, at(8, args[9]), args[10]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def set_rounding(_context: Any, mode: Any) -> Any:
    """Set the rounding mode of this thread's lanes, a :class:`Mode`."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        signature = ir.FunctionType(ir.VoidType(), [I32])
        function = declared(builder, "llvm.set.rounding", signature)
        builder.call(function, [builder.trunc(args[0], I32)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
