"""Bounds on what an accumulator's roundings may do to a sum of n products.

:func:`bounds` lists those that apply, each of the form

    |computed − exact| ≤ relative · Σ|p| + absolute,

with the probability that it holds. The relative parts are those of
:mod:`analysis.rounding_bounds`. The absolute part is what underflow may do: a rounding among
subnormals errs by a step of their grid (half of one to nearest), a flush to zero by less than
2^emin, as if the addend had been another one; so H of such errors add (1 + relative) H. A
fixed-point sum has an absolute part only. Overflow is excluded: it is the affair of
:mod:`analysis.overflow` and :mod:`analysis.integer_bounds`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    Rounding,
    Sequential,
    Tree,
)
from analysis.rounding_bounds import (
    Roundings,
    alignment_bound,
    check_failure,
    compose,
    deviations,
    fused_bound,
    loss,
    mean_bound,
    probable,
    unit_roundoff,
    worst,
    worst_to_nearest,
)

_DIRECTED = (Rounding.TOWARD_ZERO, Rounding.UP, Rounding.DOWN)


@dataclass(frozen=True, slots=True)
class Bound:
    """|computed − exact| ≤ relative · Σ|p| + absolute, with a probability of at least 1 − failure.

    Rational where the formula is, a float where it has an exponential or a root.
    """

    name: str
    source: str
    relative: Fraction | float
    absolute: Fraction | float
    failure: float = 0.0


@dataclass(frozen=True, slots=True)
class BoundedProducts:
    """Independent random products with a mean, all within ``reach`` of it."""

    mean: float
    reach: float

    def __post_init__(self) -> None:
        if not self.reach > 0.0:
            raise ValueError(f"products: reach must be positive, got {self.reach}")


@dataclass(frozen=True, slots=True)
class _Level:
    """The roundings of one level of a sum, and those of the whole sum that may underflow."""

    accumulator: Accumulator
    path: Roundings
    total: int

    @property
    def underflow(self) -> Fraction:
        """The most that all its roundings may err by, apart from relative errors."""
        form, rounding = self.accumulator.format, self.accumulator.rounding
        match form:
            case FixedFormat():
                return self.total * form.quantum * loss(rounding)
            case BlockFormat():
                return Fraction(0)
        floor = Fraction(2) ** form.emin
        step = form.quantum * loss(rounding) if form.subnormals else floor
        order = self.accumulator.order
        if isinstance(order, Fused):
            step += alignment_bound(order) * floor
        return self.total * step


def _roundings(count: int, accumulator: Accumulator) -> Roundings:
    form, rounding = accumulator.format, accumulator.rounding
    if not isinstance(form, FloatFormat):
        return Roundings(0, Fraction(0))
    unit, bias = unit_roundoff(form.mantissa_bits, rounding), Fraction(0)
    if rounding is Rounding.STOCHASTIC:
        ideal = accumulator.random_bits is None  # its integer is odd: half a step more
        bias = unit / 2 ** (accumulator.cut_bits - ideal)
    return Roundings(count, unit, bias)


def _inner(accumulator: Accumulator, n: int) -> _Level:
    """The sums of chunks, or of all."""
    length = min(n, accumulator.chunk or n)
    total = n
    match accumulator.order:
        case Fused(terms=terms):
            count = -(-length // terms)
            total = -(-n // length) * count
        case Tree():
            count = max(1, (length - 1).bit_length())
        case Sequential():
            count = length
    return _Level(accumulator, _roundings(count, accumulator), total)


def _holds(outer: FloatFormat | FixedFormat | BlockFormat, inner: object) -> bool:
    """Whether the outer format holds every value of the inner one, as far as these kinds tell."""
    if not isinstance(outer, FloatFormat) or not isinstance(inner, FloatFormat):
        return outer == inner
    finer = outer.mantissa_bits >= inner.mantissa_bits and outer.quantum <= inner.quantum
    return finer and (outer.subnormals or (not inner.subnormals and outer.emin <= inner.emin))


def _levels(accumulator: Accumulator, n: int) -> Iterator[_Level]:
    """The multiplier's rounding, the chunks' and that of their sum."""
    if accumulator.product is not None:
        product = accumulator.product
        multiplier = Accumulator(product.format, product.rounding)
        yield _Level(multiplier, _roundings(1, multiplier), n)
    yield _inner(accumulator, n)
    if accumulator.chunk is not None:
        outer, chunks = accumulator.outer_accumulator, -(-n // accumulator.chunk)
        count = chunks - _holds(outer.format, accumulator.format)  # zero plus the first is exact
        yield _Level(outer, _roundings(count, outer), count)


def _bound(
    name: str,
    source: str,
    levels: list[_Level],
    relative: Callable[[], Fraction | float],
    failure: float = 0.0,
) -> Iterator[Bound]:
    """One bound, unless the formula's limits exclude it."""
    try:
        value = relative()
    except ValueError:
        return
    underflow = sum((level.underflow for level in levels), Fraction(0))
    yield Bound(name, source, value, (1 + value) * underflow, failure)


def _fused(levels: list[_Level]) -> Fraction:
    inner, *outer = levels
    order = inner.accumulator.order
    assert isinstance(order, Fused)
    steps = fused_bound(inner.path.count, order, inner.path.unit)
    return compose(steps, worst([level.path for level in outer]))


def _certain(levels: list[_Level]) -> Iterator[Bound]:
    """Bounds that hold whatever the products are."""
    if isinstance(levels[0].accumulator.order, Fused):
        yield from _bound("fused steps", "definition of the step", levels, lambda: _fused(levels))
        return
    path = [level.path for level in levels]
    yield from _bound("worst case", "Higham 2002", levels, lambda: worst(path))
    sums = [level.accumulator for level in levels if level.path.count]
    if sums and all(loss(one.rounding) < 1 and one.order == Sequential() for one in sums):
        name, source = "worst case to nearest", "Jeannerod and Rump 2013"
        yield from _bound(name, source, levels, lambda: worst_to_nearest(path))


def _by_chance(levels: list[_Level], n: int, failure: float) -> Iterator[Bound]:
    """Bounds on mean independent roundings; each product's path is one event."""
    path, reach = [level.path for level in levels], deviations(failure, n)
    roundings = {level.accumulator.rounding for level in levels if level.path.count}
    name, source = "probable", "Connolly, Higham and Mary 2021"
    if roundings != {Rounding.STOCHASTIC}:
        name, source = "probable, if rounding errors are mean independent", "Higham and Mary 2019"
    if any(level.accumulator.random_bits is not None for level in levels):
        source += "; El Arar et al. 2025"
    if roundings:
        yield from _bound(name, source, levels, lambda: probable(path, reach), failure)


def _of_products(
    level: _Level, n: int, failure: float, products: BoundedProducts
) -> Iterator[Bound]:
    """Underflow passes through the same roundings; it has no mean to speak of."""
    path, reach, bias = level.path, deviations(failure, 2 * n), float(level.path.bias)
    try:
        error = mean_bound(n, path.unit, reach, mean=products.mean, reach=products.reach, bias=bias)
        absolute = error + (1 + worst([path])) * level.underflow
    except ValueError:
        return
    yield Bound("probable, of such products", "Higham and Mary 2020", 0, absolute, failure)


def bounds(
    accumulator: Accumulator,
    n: int,
    *,
    failure: float = 1e-6,
    products: BoundedProducts | None = None,
) -> tuple[Bound, ...]:
    """All bounds that apply to the sum of ``n`` products, as :class:`Bound` states them.

    Probable ones fail with at most the probability ``failure``; they are listed where every
    rounding is to nearest or stochastic. To nearest they assume mean independent rounding errors.
    Knowledge of the ``products`` adds one more for a plain sequential sum. A formula outside its
    limits (n u ≥ 1, say) is left out.

    Valid without overflow; in fused steps, for operands that are normal numbers.

    >>> from analysis.formats import float_format
    >>> [(one.name, one.relative) for one in bounds(Accumulator(float_format(8, 10)), 4)][:2]
    [('worst case', Fraction(1, 511)), ('worst case to nearest', Fraction(1, 512))]

    Raises:
        ValueError: n below 1, or a probability outside 0..1.
    """
    if n < 1:
        raise ValueError(f"bounds: n (accumulation length) must be at least 1, got {n}")
    check_failure(failure)
    levels = list(_levels(accumulator, n))
    found = list(_certain(levels))
    chance = not isinstance(accumulator.order, Fused)
    if chance and not any(level.accumulator.rounding in _DIRECTED for level in levels):
        found += _by_chance(levels, n, failure)
        if products is not None and len(levels) == 1 and accumulator.order == Sequential():
            found += _of_products(levels[0], n, failure, products)
    return tuple(found)
