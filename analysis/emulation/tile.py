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
from dataclasses import dataclass
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from analysis.draws import MIX32
from analysis.emulation.steps import Draws, Lane, Method, Step, StepType, Word

ROWS = 4  #: of a register tile
PANEL = 64  #: columns of a packed panel; a multiple of every tile's

_I64, _I32 = ir.IntType(64), ir.IntType(32)
_POINTER = ir.PointerType()


class Machine(NamedTuple):
    """The tile's width in vectors, and theirs in bits."""

    vector_bits: int
    vectors: int


def machine_of(features: str) -> Machine:
    """The tile that the registers of a target hold, from LLVM's list of its features."""
    if "+avx512f" in features:
        return Machine(512, 4)  # 16 of 32 registers are sums
    return Machine(256 if "+avx2" in features else 128, 2)  # 8 of 16


@dataclass(frozen=True, slots=True)
class Emitter:
    """Emits the operations of one step on vectors of its lane."""

    builder: ir.IRBuilder
    step: Step
    count: int  #: lanes of a vector
    words: dict[Word, Any]  #: the format's constants as scalars of the lane's word

    @property
    def real(self) -> Any:
        """A vector of the lane's floats."""
        scalar = ir.FloatType() if self.step.lane is Lane.FLOAT32 else ir.DoubleType()
        return ir.VectorType(scalar, self.count)

    @property
    def whole(self) -> Any:
        """A vector of the lane's words."""
        return ir.VectorType(_I32 if self.step.lane is Lane.FLOAT32 else _I64, self.count)

    def splat(self, scalar: Any) -> Any:
        """A vector of one value."""
        return splat(self.builder, scalar, self.count)

    def bits(self, x: Any) -> Any:
        """The words of floats."""
        return self.builder.bitcast(x, self.whole)

    def value(self, x: Any) -> Any:
        """The floats of words."""
        return self.builder.bitcast(x, self.real)

    def word(self, name: Word) -> Any:
        """A constant, in every lane."""
        return self.splat(self.words[name])

    def number(self, name: Word) -> Any:
        """A constant that is a float, in every lane."""
        return self.value(self.word(name))

    def fuse(self, x: Any, y: Any, z: Any) -> Any:
        """x·y + z, where x·y is exact."""
        kind = f"v{self.count}f{self.real.element.intrinsic_name[1:]}"
        signature = ir.FunctionType(self.real, [self.real] * 3)
        name = f"llvm.fmuladd.{kind}"
        return self.builder.call(_declared(self.builder, name, signature), [x, y, z])

    def larger(self, x: Any, y: Any) -> Any:
        """The larger of two floats that are no NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", x, y), x, y)

    def smaller(self, x: Any, y: Any) -> Any:
        """The smaller of two floats that are no NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", x, y), x, y)

    def add(self, s: Any, x: Any, y: Any, chance: Any = None) -> Any:
        """The sum s + x·y (s + x where y is None) on the accumulator's grid."""
        if self.step.method is Method.ODD_MAGIC:
            total = self._sum_to_odd(s, x if y is None else self.builder.fmul(x, y))
        else:
            total = self.builder.fadd(s, x) if y is None else self.fuse(x, y, s)
        return self._clamp(self._rounded(total, chance))

    def _rounded(self, t: Any, chance: Any) -> Any:
        build = self.builder
        match self.step.method:
            case Method.PLAIN:
                return t
            case Method.MAGIC | Method.SIGNED_MAGIC | Method.ODD_MAGIC:
                return self._by_magic(t)
            case Method.MASK:
                return self.value(build.and_(self.bits(t), self.word(Word.KEEP)))
            case Method.AWAY:
                chance = self.word(Word.HALF)
            case Method.RANDOM:
                assert chance is not None
        raised = build.add(self.bits(t), chance)
        return self.value(build.and_(raised, self.word(Word.KEEP)))

    def _by_magic(self, t: Any) -> Any:
        """(t + 1.5·2^(F−1−m)·e) − 1.5·2^(F−1−m)·e, e the binade of t."""
        build = self.builder
        binade = self.value(build.and_(self.bits(t), self.word(Word.EXPONENT)))
        if self.step.floor:
            binade = self.larger(binade, self.number(Word.FLOOR))
        if self.step.method is Method.SIGNED_MAGIC:
            sign = build.and_(self.bits(t), self.word(Word.SIGN))
            binade = self.value(build.or_(self.bits(binade), sign))
        magic = self.number(Word.MAGIC)
        return self.fuse(binade, build.fneg(magic), self.fuse(binade, magic, t))

    def _sum_to_odd(self, s: Any, p: Any) -> Any:
        """Knuth's two-sum; where its error is not zero, toward zero with the last bit set."""
        build = self.builder
        total = build.fadd(s, p)
        virtual = build.fsub(total, s)
        lost = build.fsub(s, build.fsub(total, virtual))
        error = build.fadd(lost, build.fsub(p, virtual))
        inexact = build.fcmp_unordered("!=", error, self.real(None))
        zero = self.whole(None)
        opposite = build.icmp_signed("<", build.xor(self.bits(total), self.bits(error)), zero)
        away = build.zext(build.and_(inexact, opposite), self.whole)
        truncated = build.sub(self.bits(total), away)
        return self.value(build.or_(truncated, build.zext(inexact, self.whole)))

    def _clamp(self, r: Any) -> Any:
        if not self.step.clamp:
            return r
        largest = self.number(Word.LARGEST)
        return self.larger(self.smaller(r, largest), self.builder.fneg(largest))

    def chance(self, word: Any, parity: Any) -> Any:
        """The random bits in their place, from hash words and the step's parity (a bit)."""
        build = self.builder
        if self.step.draws is Draws.PAIRED:
            name = Word.SHIFT_ODD if parity else Word.SHIFT_EVEN
            turned = _rotated(build, word, self.word(name), self.count)
            return build.and_(turned, self.word(Word.RANDOM))
        wide = word if self.whole.element == _I32 else build.zext(word, self.whole)
        odd = build.trunc(parity, ir.IntType(1))
        shift = build.select(odd, self.words[Word.SHIFT_ODD], self.words[Word.SHIFT_EVEN])
        kept = build.and_(build.lshr(wide, self.splat(shift)), self.word(Word.RANDOM))
        placed = build.shl(kept, self.word(Word.PLACE))
        return build.or_(placed, self.word(Word.ONES))


def splat(builder: ir.IRBuilder, scalar: Any, count: int) -> Any:
    """A vector of one value."""
    kind = ir.VectorType(scalar.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, _I32(0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), _zeros(count))


def _zeros(count: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, count), None)


def _declared(builder: ir.IRBuilder, name: str, signature: Any) -> Any:
    return cgutils.get_or_insert_function(builder.module, signature, name)


def _rotated(builder: ir.IRBuilder, x: Any, by: Any, count: int) -> Any:
    kind = ir.VectorType(_I32, count)
    function = _declared(builder, f"llvm.fshl.v{count}i32", ir.FunctionType(kind, [kind] * 3))
    return builder.call(function, [x, x, by])


def mixed(builder: ir.IRBuilder, x: Any, count: int) -> Any:
    """:func:`analysis.draws.mix32` of vectors."""
    a, first, b, second, c = MIX32

    def constant(value: int) -> Any:
        return ir.Constant(ir.VectorType(_I32, count), [ir.Constant(_I32, value)] * count)

    def turned(x: Any, by: int) -> Any:
        return builder.xor(x, builder.lshr(x, constant(by)))

    x = builder.mul(turned(x, a), constant(first))
    x = builder.mul(turned(x, b), constant(second))
    return turned(x, c)


def _emitter(builder: ir.IRBuilder, step: Step, machine: Machine, words: Any) -> Emitter:
    """The emitter of a step whose constants stand at ``words``."""
    lane_bits = 32 if step.lane is Lane.FLOAT32 else 64
    kind = ir.IntType(lane_bits)
    loaded = {name: load(builder, words, kind, ir.Constant(_I64, int(name))) for name in Word}
    return Emitter(builder, step, machine.vector_bits // lane_bits, loaded)


def load(builder: ir.IRBuilder, base: Any, kind: Any, index: Any, scalar: Any = None) -> Any:
    """A value of ``kind`` at ``base`` + index, counted in its scalars."""
    element = scalar or kind
    place = builder.gep(base, [index], source_etype=element)
    return builder.load(place, align=element_bytes(element), typ=kind)


def store(builder: ir.IRBuilder, value: Any, base: Any, index: Any) -> None:
    """Put a vector at ``base`` + index, counted in its scalars."""
    element = value.type.element
    place = builder.gep(base, [index], source_etype=element)
    builder.store(value, place, align=element_bytes(element))


def element_bytes(kind: Any) -> int:
    """Size of a scalar."""
    return 8 if isinstance(kind, ir.DoubleType) or kind == _I64 else 4


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
    kinds = [_POINTER, _I64, *[_POINTER] * 3, _I64, _POINTER, _I64, _POINTER, _I64]
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
            _hashes(emit, turns, build.mul(turn_stride, _I64(row)), build.add(first, k), held)
            for row in range(ROWS)
        ]
        for ahead in range(unrolled):
            at = build.add(k, _I64(ahead))
            parity: Any = ahead if step.draws is Draws.PAIRED else build.add(first, at)
            _products(emit, machine, (a, stride, panel), at, held, (hashes, parity))

    if step.draws is Draws.PAIRED:
        _each(build, build.and_(length, _I64(-2)), 2, lambda k: steps(k, 2))
        with build.if_then(build.trunc(length, ir.IntType(1))):
            steps(build.sub(length, _I64(1)), 1)
    else:
        _each(build, length, 1, lambda k: steps(k, 1))
    for row, cells in enumerate(held.cells):
        for column, cell in enumerate(cells):
            place = _I64(row * PANEL + column * emit.count)
            store(build, build.load(cell, typ=emit.real), sums, place)
    build.ret_void()
    return function


def _each(builder: ir.IRBuilder, stop: Any, by: int, body: Callable[[Any], None]) -> None:
    with cgutils.for_range_slice(builder, _I64(0), stop, _I64(by), _I64) as (k, _):
        body(k)


def _read(emit: Emitter, machine: Machine, sums: Any, places: Any) -> _Sums:
    build, scalar = emit.builder, emit.real.element
    cells = []
    for row in range(ROWS):
        cells.append([])
        for column in range(machine.vectors):
            cell = build.alloca(emit.real)
            place = _I64(row * PANEL + column * emit.count)
            build.store(load(build, sums, emit.real, place, scalar), cell)
            cells[-1].append(cell)
    if emit.step.draws is Draws.NONE:
        return _Sums(cells, [])
    kind = ir.VectorType(_I32, emit.count)
    columns = range(machine.vectors)
    return _Sums(cells, [load(build, places, kind, _I64(c * emit.count), _I32) for c in columns])


def _hashes(emit: Emitter, turns: Any, row_base: Any, step: Any, held: _Sums) -> list[Any]:
    """The hash words of a row at a step, a vector for each of the tile's columns."""
    if emit.step.draws is Draws.NONE:
        return []
    build = emit.builder
    counter = step if emit.step.draws is Draws.WHOLE else build.lshr(step, _I64(1))
    turn = load(build, turns, _I32, build.add(row_base, counter))
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
    base = build.mul(k, _I64(PANEL))
    columns = range(machine.vectors)
    right = [
        load(build, panel, emit.real, build.add(base, _I64(c * emit.count)), scalar)
        for c in columns
    ]
    for row, cells in enumerate(held.cells):
        place = build.add(build.mul(stride, _I64(row)), k)
        left = emit.splat(load(build, a, scalar, place))
        for column in columns:
            chance = emit.chance(hashes[row][column], parity) if hashes[row] else None
            s = build.load(cells[column], typ=emit.real)
            build.store(emit.add(s, left, right[column], chance), cells[column])


def _join_function(module: ir.Module, inner: Lane, step: Step, machine: Machine) -> Any:
    """void(sums, out, words, turns, their row stride, places, step's parity).

    Adds chunk sums (ROWS, PANEL) to ``out`` (ROWS, PANEL) and sets them to zero.
    """
    kinds = [*[_POINTER] * 4, _I64, _POINTER, _I64]
    function, new = _new_function(module, _name(f"join.{inner}", step), kinds)
    if not new:
        return function
    sums, out, words, turns, turn_stride, places, parity = function.args
    build = ir.IRBuilder(function.append_basic_block("entry"))
    emit = _emitter(build, step, machine, words)
    narrow = ir.FloatType() if inner is Lane.FLOAT32 else ir.DoubleType()
    source = ir.VectorType(narrow, emit.count)
    hashed = ir.VectorType(_I32, emit.count)
    for row in range(ROWS):

        def column(at: Any, row: int = row) -> None:
            place = build.add(at, _I64(row * PANEL))
            p = load(build, sums, source, place, narrow)
            store(build, source(None), sums, place)
            wide = p if source == emit.real else build.fpext(p, emit.real)
            chance = None
            if step.draws is not Draws.NONE:
                turn = load(build, turns, _I32, build.mul(turn_stride, _I64(row)))
                key = build.add(
                    splat(build, turn, emit.count), load(build, places, hashed, at, _I32)
                )
                chance = emit.chance(mixed(build, key, emit.count), parity)
            s = load(build, out, emit.real, place, emit.real.element)
            store(build, emit.add(s, wide, None, chance), out, place)

        _each(build, _I64(PANEL), emit.count, column)
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

        def at(index: int, offset: Any = _I64(0)) -> Any:
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
        return _I64(machine.vectors * machine.vector_bits // lane_bits)

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

        def at(index: int, offset: Any = _I64(0)) -> Any:
            return _pointer(context, builder, kinds[index], args[index], offset)

        call = [at(1, args[2]), at(3, args[2]), at(4), at(5, args[6]), args[7]]
        builder.call(function, [*call, at(8, args[9]), args[10]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def set_rounding(_context: Any, mode: Any) -> Any:
    """Set the rounding mode of this thread's lanes, a :class:`Mode`."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        signature = ir.FunctionType(ir.VoidType(), [_I32])
        function = _declared(builder, "llvm.set.rounding", signature)
        builder.call(function, [builder.trunc(args[0], _I32)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
