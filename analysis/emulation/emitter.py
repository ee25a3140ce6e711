"""One step of an accumulator as LLVM operations on vectors, whatever their width."""

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from analysis.draws import MIX32
from analysis.emulation.steps import Draws, Lane, Method, Step, Word

I64, I32 = ir.IntType(64), ir.IntType(32)


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
        return ir.VectorType(I32 if self.step.lane is Lane.FLOAT32 else I64, self.count)

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
        return self.builder.call(declared(self.builder, name, signature), [x, y, z])

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
        wide = word if self.whole.element == I32 else build.zext(word, self.whole)
        odd = build.trunc(parity, ir.IntType(1))
        shift = build.select(odd, self.words[Word.SHIFT_ODD], self.words[Word.SHIFT_EVEN])
        kept = build.and_(build.lshr(wide, self.splat(shift)), self.word(Word.RANDOM))
        placed = build.shl(kept, self.word(Word.PLACE))
        return build.or_(placed, self.word(Word.ONES))


def splat(builder: ir.IRBuilder, scalar: Any, count: int) -> Any:
    """A vector of one value."""
    kind = ir.VectorType(scalar.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), _zeros(count))


def _zeros(count: int) -> Any:
    return ir.Constant(ir.VectorType(I32, count), None)


def declared(builder: ir.IRBuilder, name: str, signature: Any) -> Any:
    """A function of LLVM's own."""
    return cgutils.get_or_insert_function(builder.module, signature, name)


def _rotated(builder: ir.IRBuilder, x: Any, by: Any, count: int) -> Any:
    kind = ir.VectorType(I32, count)
    function = declared(builder, f"llvm.fshl.v{count}i32", ir.FunctionType(kind, [kind] * 3))
    return builder.call(function, [x, x, by])


def mixed(builder: ir.IRBuilder, x: Any, count: int) -> Any:
    """:func:`analysis.draws.mix32` of vectors."""
    a, first, b, second, c = MIX32

    def constant(value: int) -> Any:
        return ir.Constant(ir.VectorType(I32, count), [ir.Constant(I32, value)] * count)

    def turned(x: Any, by: int) -> Any:
        return builder.xor(x, builder.lshr(x, constant(by)))

    x = builder.mul(turned(x, a), constant(first))
    x = builder.mul(turned(x, b), constant(second))
    return turned(x, c)


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
    return 8 if isinstance(kind, ir.DoubleType) or kind == I64 else 4
