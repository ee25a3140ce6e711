"""The least accumulator mantissa of a sum, by a stated criterion.

Three criteria, side by side:

* the theorem's v(n) < 50, as published (:mod:`analysis.retention`): variance alone, of addends that
  are truncated to the sum's grid, whatever the accumulator does;
* an NMSE budget: what the accumulator's own rounding makes of these products
  (:mod:`analysis.noise`) errs by so much of the exact sum's variance;
* noise parity: the accumulator errs by at most a fraction of what rounding the operands does to the
  same dot product, and so cannot be seen in it.

The two that are of noise limit the bias besides. A bias is part of the NMSE, but unlike the rest it
does not average out over a batch, a layer or many steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from analysis.distributions import Operand, Products, Shape
from analysis.formats import Accumulator, FloatFormat, Rounding, float_format
from analysis.noise import SumError, predict
from analysis.noise_laws import SUM_NOISE
from analysis.operand_noise import operand_noise
from analysis.retention import (
    CUTOFF,
    MAX_BITS,
    check_cutoff,
    check_sum,
    log_variance_lost_chunked,
)

#: exponents are no part of the question
_EXPONENT_BITS = 8
#: widest accumulator that noise is predicted for
_MOST_BITS = 44
#: share of the operands' noise below which an accumulator is taken for invisible; ours
PARITY = 0.1
#: NMSE, and bias in standard deviations of the exact sum; ours
BUDGET, MAX_BIAS = 1e-3, 0.1


@dataclass(frozen=True, slots=True)
class Summed:
    """Products that are summed."""

    products: Products
    n: int  #: accumulation length
    #: NMSE of the exact sum of rounded operands, where it was measured; None: in theory
    measured_operand_nmse: float | None = None

    @property
    def operand_nmse(self) -> float:
        """What rounding the operands does to the sum.

        Raises:
            ValueError: as :func:`analysis.operand_noise.operand_noise`.
        """
        if self.measured_operand_nmse is None:
            return operand_noise(self.products, self.n)
        return self.measured_operand_nmse


@dataclass(frozen=True, slots=True)
class Sought:
    """A sum whose accumulator's width is sought."""

    n: int  #: accumulation length
    m_p: int  #: mantissa bits of a product
    chunk: int | None = None  #: products per inner sum; None: one plain sum
    density: float = 1.0  #: share of products that are not zero
    rounding: Rounding = Rounding.NEAREST_EVEN
    products: Products | None = None  #: None: of Gaussians, as :func:`gaussian_operands`
    measured_operand_nmse: float | None = None  #: as of :class:`Summed`

    def __post_init__(self) -> None:
        check_sum(self.n, self.m_p, self.chunk, self.density)

    @property
    def summed(self) -> Summed:
        """What is summed."""
        products = self.products
        if products is None:
            products = gaussian_operands(self.m_p, self.density)
        return Summed(products, self.n, self.measured_operand_nmse)

    def accumulator(self, m_acc: int) -> Accumulator:
        """Both stages at one width."""
        chunk = None if self.chunk is None or self.chunk >= self.n else self.chunk
        return Accumulator(float_format(_EXPONENT_BITS, m_acc), self.rounding, chunk)

    def error(self, m_acc: int) -> SumError:
        """What that width makes of the sum."""
        return predict(self.accumulator(m_acc), self.summed.products, self.n)


def operand_formats(m_p: int) -> tuple[FloatFormat, FloatFormat]:
    """Operands whose exact products have ``m_p`` mantissa bits, m_a + m_b + 1; the first is wider.

    >>> [form.mantissa_bits for form in operand_formats(6)]
    [3, 2]

    Raises:
        ValueError: a product of floating-point numbers has at least one bit.
    """
    if m_p < 1:
        raise ValueError(f"m_p (mantissa bits of a product) must be at least 1, got {m_p}")
    wide, narrow = (float_format(_EXPONENT_BITS, bits) for bits in (m_p // 2, (m_p - 1) // 2))
    return wide, narrow


def gaussian_operands(m_p: int, density: float = 1.0) -> Products:
    """Products of two Gaussians in :func:`operand_formats`."""
    wide, narrow = operand_formats(m_p)
    return Products(Operand(Shape.GAUSSIAN, wide, density=density), Operand(Shape.GAUSSIAN, narrow))


def _check_limit(name: str, limit: float) -> None:
    if not 0.0 < limit < math.inf:
        raise ValueError(f"{name} must be a positive number, got {limit}")


@dataclass(frozen=True, slots=True)
class Theorem:
    """v(n) < ``cutoff``, stage by stage: Sakr et al. (2019), section 4."""

    cutoff: float = CUTOFF

    def __post_init__(self) -> None:
        check_cutoff(self.cutoff)

    @property
    def label(self) -> str:
        """The test, in a few characters."""
        return f"v < {self.cutoff:g}"


@dataclass(frozen=True, slots=True)
class NoiseBudget:
    """NMSE ≤ ``nmse`` and |bias| ≤ ``bias`` standard deviations of the exact sum."""

    nmse: float = BUDGET
    bias: float = MAX_BIAS

    def __post_init__(self) -> None:
        _check_limit("NMSE budget", self.nmse)
        _check_limit("bias limit", self.bias)

    @property
    def label(self) -> str:
        """The test on the NMSE, in a few characters."""
        return f"NMSE ≤ {self.nmse:g}"

    def allowed(self, _of: Summed) -> float:
        """Most NMSE."""
        return self.nmse


@dataclass(frozen=True, slots=True)
class NoiseParity:
    """NMSE ≤ ``fraction`` of the operands' own (:mod:`analysis.operand_noise`), and |bias|."""

    fraction: float = PARITY
    bias: float = MAX_BIAS

    def __post_init__(self) -> None:
        _check_limit("parity (fraction of the operands' noise)", self.fraction)
        _check_limit("bias limit", self.bias)

    @property
    def label(self) -> str:
        """The test on the NMSE, in a few characters."""
        return f"parity {self.fraction:g}"

    def allowed(self, of: Summed) -> float:
        """Most NMSE."""
        return self.fraction * of.operand_nmse


NoiseCriterion = NoiseBudget | NoiseParity
#: when a width is enough
Criterion = Theorem | NoiseCriterion
#: as published
PUBLISHED = Theorem()


def within(error: SumError, criterion: NoiseCriterion, of: Summed) -> bool:
    """Whether the error of a sum is within both limits."""
    return error.nmse <= criterion.allowed(of) and abs(error.bias) <= criterion.bias


def min_accumulator_bits(
    n: int,
    m_p: int,
    *,
    chunk: int | None = None,
    density: float = 1.0,
    criterion: Criterion = PUBLISHED,
    rounding: Rounding = Rounding.NEAREST_EVEN,
    products: Products | None = None,
) -> int:
    """Least m_acc that ``criterion`` accepts, for one plain sum or both stages of a chunked one.

    ``rounding`` and ``products`` (None: Gaussian operands of ``m_p`` and ``density``) are of the
    criteria that are of noise; the theorem knows neither.

    >>> min_accumulator_bits(4608, 5), min_accumulator_bits(4608, 5, chunk=64)
    (9, 4)
    >>> min_accumulator_bits(4608, 5, criterion=NoiseParity())
    9

    Raises:
        ValueError: a number is out of its range, or no width meets the criterion.
    """
    return least_bits(Sought(n, m_p, chunk, density, rounding, products), criterion)


def least_bits(of: Sought, criterion: Criterion) -> int:
    """The least width that ``criterion`` accepts.

    Raises:
        ValueError: it accepts none.
    """
    if isinstance(criterion, Theorem):
        widths, most = _by_theorem(of, criterion), MAX_BITS
    else:
        widths, most = _by_noise(of, criterion), _MOST_BITS
    least = next(widths, None)
    if least is None:
        raise ValueError(f"n = {of.n}: no width up to {most} bits meets {criterion.label}")
    return least


def _by_theorem(of: Sought, criterion: Theorem) -> Iterator[int]:
    """Accepted widths from below: ln v does not fall everywhere, and the first one counts."""
    stage = of.n if of.chunk is None else of.chunk
    for m_acc in range(1, MAX_BITS + 1):
        lost = log_variance_lost_chunked(m_acc, of.m_p, of.n, stage, density=of.density)
        if lost < math.log(criterion.cutoff):
            yield m_acc


def _by_noise(of: Sought, criterion: NoiseCriterion) -> Iterator[int]:
    """Accepted widths from the first that has no other below it, next to that of first order.

    Only there: what narrower ones do to a sum that they lose is not predicted.
    """
    summed = of.summed

    @cache
    def accepts(m_acc: int) -> bool:
        return within(of.error(m_acc), criterion, summed)

    inner = of.n if of.chunk is None else min(of.n, of.chunk)
    noise = SUM_NOISE * (inner + of.n / inner)
    guess = round(0.5 * math.log2(noise / criterion.allowed(summed)))
    m_acc = min(max(guess, 1), _MOST_BITS)
    while m_acc > 1 and accepts(m_acc) and accepts(m_acc - 1):
        m_acc -= 1
    yield from filter(accepts, range(m_acc, _MOST_BITS + 1))
