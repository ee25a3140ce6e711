"""Fused steps: many products aligned to the largest exponent, added exactly, rounded once.

A panel of lanes computes one step in two passes over its products: the largest exponent, then the
terms in units of the grid 2^(E − kept bits). With at most 40 kept bits, 1024 products of
significands below 4, and a running sum, the units and their sums are below 2^53 and exact.

E may be anything from −1080 to 1060: lower there is no product; higher (``least_exponents`` may
say so) every term is below half a unit of the grid, and every unit above the largest value, as at
1060. Units are therefore reached by two factors, each a normal float64; a term that underflows is
lifted to a quantity as good as any other so small.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from analysis.emulation.general.level import begin, copy, draw, finish, thresholds
from analysis.emulation.general.rounding import (
    BIAS,
    EXPONENT,
    FRACTION,
    NEVER,
    PANEL,
    away_of,
    lifted,
    power,
    settle,
    two_sum,
    whole,
)
from analysis.formats import FloatFormat, Fused, Outside, Rounding

_ABSENT = np.int64(-(1 << 40))  #: the exponent of zero
_LOWEST, _HIGHEST = np.int64(-1080), np.int64(1060)
_HUGE = 2.0**1020
_SMALLEST = np.int64(-600)  #: a scale that brings every number of units below 1/2
_WHOLE = -1  #: bits kept of what is not cut


class Cut(NamedTuple):
    """A deterministic rounding to a power of two."""

    bits: int  #: below the exponent; −1: all
    even: bool
    away: tuple[float, float]


class Alignment(NamedTuple):
    """A fused order."""

    terms: int
    phase: int  #: products that came before, modulo ``terms``
    emin: int  #: least exponent of the running sum
    outside: bool
    term: Cut
    apart: Cut  #: the products' sum, where the running sum stays outside
    total: Cut  #: the running sum there


def alignment_of(order: Fused, number_format: FloatFormat, before: int) -> Alignment:
    """The order, packed, after ``before`` products."""
    outside = order.outside or Outside()
    return Alignment(
        order.terms,
        before % order.terms,
        number_format.emin,
        order.outside is not None,
        _cut_of(order.kept_bits, order.alignment),
        _cut_of(outside.terms_bits, outside.alignment),
        _cut_of(outside.sum_bits, outside.alignment),
    )


def _cut_of(bits: int | None, rounding: Rounding) -> Cut:
    return Cut(
        _WHOLE if bits is None else bits, rounding is Rounding.NEAREST_EVEN, away_of(rounding)[0]
    )


def exponents(x: npt.NDArray[np.float64], least: int | None) -> npt.NDArray[np.int64]:
    """Exponents of the elements of ``x``, at least ``least``; that of zero lies below all."""
    own = np.frexp(x)[1].astype(np.int64) - 1
    return np.where(x == 0.0, _ABSENT, own if least is None else np.maximum(own, least))


@njit(cache=True)
def _split(exponent: Any) -> Any:
    """2^exponent as two factors."""
    half = exponent >> 1
    return power(half), power(exponent - half)


@njit(cache=True)
def _units(x: Any, low: Any, high: Any, cut: Any) -> Any:
    """``x`` · low · high, cut to an integer."""
    negative = x < 0.0
    y = lifted(abs(x) * low * high, abs(x))
    n = whole(y, False, cut.away[1] if negative else cut.away[0], NEVER, cut.even)
    return -n if negative else n


@njit(cache=True)
def _value(units: Any, exponent: Any) -> Any:
    """``units`` · 2^exponent, or a value as far beyond every format."""
    low, high = _split(exponent)
    return min(max(units * low * high, -_HUGE), _HUGE)


@njit(cache=True)
def _within(exponent: Any) -> Any:
    return min(max(exponent, _LOWEST), _HIGHEST)


@njit(cache=True)
def _own(total: Any, emin: Any) -> Any:
    """The exponent of a running sum; none where it is zero."""
    field = (np.float64(total).view(np.int64) & EXPONENT) >> FRACTION
    return _ABSENT if total == 0.0 else max(field - BIAS, emin)


@njit(inline="always")
def _joined(total: Any, own: Any, units: Any, top: Any, order: Any) -> Any:
    """A running sum outside the alignment, and the products' units below exponent ``top``."""
    joint = _within(max(own, top))
    kept = top - order.term.bits
    whole_apart = _value(units, kept)
    distance = max(kept - (joint - order.apart.bits), _SMALLEST)
    cut_apart = _value(_units(units, power(distance), 1.0, order.apart), joint - order.apart.bits)
    apart = whole_apart if order.apart.bits < 0 else cut_apart
    low, high = _split(order.total.bits - joint)
    cut_total = _value(_units(total, low, high, order.total), joint - order.total.bits)
    return two_sum(apart, total if order.total.bits < 0 else cut_total)


@njit(cache=True)
def _settled(hi: Any, lo: Any, plain: Any, away: Any, away_negative: Any, grid: Any) -> Any:
    """hi + lo on the grid; ``plain``, the step's sum in float64, tells infinities and NaN."""
    finite = abs(plain) < np.inf
    return settle(hi if finite else plain, lo if finite else 0.0, away, away_negative, grid)


@njit(inline="always")
def _find_tops(tops: Any, own: Any, sums: Any, exponents: Any, panel: Any, order: Any) -> None:
    """The first pass over a step's products: the largest exponents, and those of ``sums``."""
    for j in range(PANEL):
        own[j] = _own(sums[j], order.emin)
        tops[j] = _ABSENT if order.outside else own[j]
    for k in range(exponents.size):
        for j in range(PANEL):
            tops[j] = max(tops[j], exponents[k] + panel[k, j])
    for j in range(PANEL):
        tops[j] = _within(tops[j])


@njit(inline="always")
def _add_aligned(units: Any, scales: Any, plain: Any, factors: Any, panel: Any, cut: Any) -> None:
    """The second: products in units of the grid; in float64 too, to tell infinities and NaN."""
    for k in range(factors.size):
        for j in range(PANEL):
            product = factors[k] * panel[k, j]
            plain[j] += product
            units[j] += _units(product, scales[0, j], scales[1, j], cut)


@njit(inline="always")
def _align(units: Any, scales: Any, plain: Any, sums: Any, tops: Any, order: Any) -> None:
    """Scales for the grids of ``tops``, and the running sum in units of them."""
    for j in range(PANEL):
        low, high = _split(order.term.bits - tops[j])
        scales[0, j], scales[1, j] = low, high
        inside = _units(sums[j], low, high, order.term)
        units[j] = 0.0 if order.outside else inside
        plain[j] = sums[j]


@njit(inline="always")
def _round(sums: Any, units: Any, plain: Any, tops: Any, own: Any, away: Any, order: Any,
           grid: Any) -> None:  # fmt: skip
    """The running sum after the step."""
    if order.outside:
        for j in range(PANEL):
            hi, lo = _joined(sums[j], own[j], units[j], tops[j], order)
            sums[j] = _settled(hi, lo, plain[j], away[0, j], away[1, j], grid)
    else:
        for j in range(PANEL):
            hi = _value(units[j], tops[j] - order.term.bits)
            sums[j] = _settled(hi, 0.0, plain[j], away[0, j], away[1, j], grid)


@njit(cache=True, nogil=True)
def sum_fused(
    left: Any,
    right: Any,
    state: Any,
    out: Any,
    places: Any,
    span: Any,
    order: Any,
    inner: Any,
    outer: Any,
) -> None:
    """Continue the sums of ``out`` (rows, PANEL) by ``left`` (rows, K) times ``right`` (K, PANEL).

    Both are pairs of values and :func:`exponents`; ``state`` (rows, PANEL) holds chunk sums
    that are not finished; ``places`` are those of the inner and of the outer draws. No step is cut
    in two.
    """
    (factors, row_exponents), (panel, panel_exponents) = left, right
    sums, total, units, plain = np.empty(PANEL), np.empty(PANEL), np.empty(PANEL), np.empty(PANEL)
    tops, own = np.empty(PANEL, np.int64), np.empty(PANEL, np.int64)
    scales, away, away_outer = np.empty((2, PANEL)), thresholds(inner.grid), thresholds(outer.grid)
    for i in range(out.shape[0]):
        copy(total, out[i])
        copy(sums, state[i])
        k = 0
        while k < factors.shape[1]:
            number = span.first + k
            at = number % span.run
            end = k + min(order.terms, span.run - at, span.length - number)
            if at == 0:
                begin(sums, total, span)
            _find_tops(tops, own, sums, row_exponents[i, k:end], panel_exponents[k:end], order)
            _align(units, scales, plain, sums, tops, order)
            _add_aligned(units, scales, plain, factors[i, k:end], panel[k:end], order.term)
            step = (order.phase + number - at) // order.terms + at // order.terms
            draw(away, inner.chance, places[0], i, step)
            _round(sums, units, plain, tops, own, away, order, inner.grid)
            k = end
            if (span.first + k) % span.run == 0 or span.first + k == span.length:
                finish(total, sums, away_outer, outer, places[1], (i, number), span)
        copy(out[i], total)
        copy(state[i], sums)
