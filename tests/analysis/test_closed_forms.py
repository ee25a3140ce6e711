"""Knees: their inverses proved, their numbers held to theorem, prediction and emulation."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from analysis.closed_forms import (
    BUDGET,
    CHUNK,
    LARGEST,
    LEVELS,
    LIMIT,
    LOST,
    M_OP,
    MEAN,
    SHARE,
    THEOREM_CONSTANT,
    Knee,
    M,
    N,
    accepted_length,
    chunked_noise_knee,
    full_swamping_knee,
    noise_knee,
    parity_knee,
    stagnation_knee,
    theorem_knee,
    truncation_knee,
)
from analysis.distributions import Operand, Products, Shape
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import predict
from analysis.noise_laws import noise_law, operand_nmse
from analysis.quantization import quantize
from analysis.retention import variance_retention_full_swamping

NEAREST, CUT, BY_CHANCE = Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO, Rounding.STOCHASTIC
KNEES = {
    "theorem": theorem_knee(),
    "theorem in chunks": theorem_knee().in_chunks(),
    "full swamping": full_swamping_knee(),
    "noise, nearest": noise_knee(noise_law(NEAREST)),
    "noise, by chance, 2 bits": noise_knee(noise_law(BY_CHANCE, 2)),
    "noise, toward zero": noise_knee(noise_law(CUT)),
    "chunks, nearest": chunked_noise_knee(noise_law(NEAREST)),
    "chunks, toward zero": chunked_noise_knee(noise_law(CUT)),
    "parity": parity_knee(noise_law(NEAREST)),
    "stagnation": stagnation_knee(),
    "truncation": truncation_knee(),
}
VALUES = {
    LEVELS: 2, CHUNK: 64, LIMIT: 50, BUDGET: sp.Rational(1, 1000), SHARE: sp.Rational(1, 10),
    M_OP: 3, MEAN: sp.Rational(1, 3), LARGEST: 3, LOST: sp.Rational(1, 100),
}  # fmt: skip
#: accumulation facts §1.7: longest n accepted with m_p = 5 and v < 50
ACCEPTED = {
    5: 196, 6: 534, 7: 1486, 8: 3919, 9: 10160, 10: 26560, 11: 64894, 12: 164163, 13: 422328,
    14: 961479, 15: 2245379,
}  # fmt: skip


def at(expression: sp.Expr, **more: float) -> float:
    """Plain sums by default; more: m, n or k."""
    values = (
        VALUES | {LEVELS: more.pop("k", 1)} | {{"m": M, "n": N}[key]: more[key] for key in more}
    )
    return float(expression.subs(values))


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("name", KNEES)
def test_width_and_length_are_inverse(name: str, levels: int) -> None:
    knee, values = KNEES[name], VALUES | {LEVELS: levels}
    with mpmath.workdps(40):
        for bits in (sp.Integer(7), sp.Rational(45, 4), sp.Integer(13)):
            longest = knee.longest.subs(values).subs(M, bits)
            back = knee.bits.subs(values).subs(N, longest).evalf(40)
            assert abs(back - bits) < sp.Float("1e-30", 40)


@pytest.mark.parametrize("name", KNEES)
def test_sensitivity_is_the_slope_against_log_length(name: str) -> None:
    knee, n, step = KNEES[name], sp.Integer(10**5), sp.Rational(1, 10**12)
    with mpmath.workdps(60):
        wider, narrower = (
            knee.bits.subs(VALUES).subs(N, n * sp.exp(sign * step)).evalf(60) for sign in (1, -1)
        )
        slope = (wider - narrower) / (2 * step)
        assert abs(slope - knee.sensitivity.subs(VALUES).subs(N, n)) < sp.Float("1e-18", 60)


def per_doubling(knee: Knee) -> sp.Expr:
    return sp.simplify(knee.sensitivity * sp.log(2))


def test_bits_for_every_doubling() -> None:
    assert per_doubling(theorem_knee()) == sp.Rational(3, 4) / LEVELS
    for rounding in (NEAREST, BY_CHANCE):
        assert per_doubling(noise_knee(noise_law(rounding))) == 1 / (2 * LEVELS)
    assert per_doubling(stagnation_knee()) == 1
    cut = per_doubling(noise_knee(noise_law(CUT)))
    assert sp.limit(cut.subs(LEVELS, 1), N, sp.oo) == 1  # drift
    swamping, w = per_doubling(full_swamping_knee()), sp.Symbol("w", positive=True)
    assert sp.limit(swamping.replace(sp.LambertW, lambda *_: w), w, sp.oo) == sp.Rational(1, 2)


def test_chunks_of_the_square_root_halve_the_sensitivity() -> None:
    chunked = per_doubling(chunked_noise_knee(noise_law(NEAREST)))
    assert sp.simplify(chunked.subs(CHUNK, sp.sqrt(N))) == sp.Rational(1, 4)
    assert sp.limit(chunked, N, sp.oo) == sp.Rational(1, 2)


def test_the_theorems_constant_is_the_ratio_of_its_integrals() -> None:
    def weight(y: mpmath.mpf) -> mpmath.mpf:  # 2Q(y/2)(1 − 2Q(y))
        return mpmath.erfc(y / mpmath.sqrt(8)) * mpmath.erf(y / mpmath.sqrt(2))

    with mpmath.workdps(30):
        ends = [0, 1, 4, 10, 30, 60]
        moments = [mpmath.quad(lambda y, p=p: y**p * weight(y), ends) for p in (0, 3)]
        expected = mpmath.mpf(2) / 21 * moments[1] / moments[0]
        assert abs(expected - mpmath.mpf(THEOREM_CONSTANT.evalf(30))) < 1e-25


@pytest.mark.parametrize("m_acc", ACCEPTED)
def test_accepted_lengths_of_five_product_bits(m_acc: int) -> None:
    assert accepted_length(m_acc, 5) == ACCEPTED[m_acc]


@pytest.mark.parametrize("m_p", range(3, 12))
def test_the_theorems_knee_in_closed_form(m_p: int) -> None:
    for m_acc in range(3, min(16, 3 * m_p) + 1):
        ratio = at(theorem_knee().longest, m=m_acc) / accepted_length(m_acc, m_p)
        assert 0.89 < ratio < 1.24  # the module's docstring
        bits = at(theorem_knee().bits, n=accepted_length(m_acc, m_p))
        assert bits == pytest.approx(m_acc, abs=0.25)


def test_beyond_three_product_widths_a_bit_may_buy_nothing() -> None:
    assert accepted_length(16, 5) < accepted_length(15, 5)
    assert at(theorem_knee().longest, m=16) > 2 * accepted_length(16, 5)


def test_chunks_of_the_theorem_are_levels_of_it() -> None:
    n = accepted_length(8, 5)
    assert at(theorem_knee().bits, n=n**2, k=2) == pytest.approx(8, abs=0.1)
    assert at(theorem_knee().in_chunks().bits, n=64 * n) == pytest.approx(8, abs=0.1)


def accepted_by_full_swamping(m_acc: int, n: int) -> bool:
    return bool(n * (1.0 - variance_retention_full_swamping(m_acc, n)) < math.log(50.0))


def test_the_tail_of_full_swamping_approaches_lemma_1() -> None:
    ratios = []
    for m_acc in range(5, 17):
        found = at(full_swamping_knee().longest, m=m_acc)
        low, high = found, 2.0 * found
        assert accepted_by_full_swamping(m_acc, int(low))
        assert not accepted_by_full_swamping(m_acc, int(high))
        while high - low > 1e-4 * low:
            middle = 0.5 * (low + high)
            accepted = accepted_by_full_swamping(m_acc, int(middle))
            low, high = (middle, high) if accepted else (low, middle)
        ratios.append(found / low)
    assert ratios == sorted(ratios)
    assert ratios[0] > 0.82  # the docstring
    assert 0.99 < ratios[-1] < 1.0


def test_noise_knees_meet_the_budget() -> None:
    n = at(noise_knee(noise_law(NEAREST)).longest, m=9)
    assert noise_law(NEAREST).nmse(9, (n,)) == pytest.approx(1e-3, rel=1e-12)
    n = at(chunked_noise_knee(noise_law(NEAREST)).longest, m=7)
    chunks = n / 64
    law = noise_law(NEAREST).nmse(7, (64, chunks))
    assert law == pytest.approx(1e-3, rel=1e-12)
    for k in (1, 2, 3):
        n = at(noise_knee(noise_law(CUT)).longest, m=12, k=k)
        law = noise_law(CUT).nmse(12, [n ** (1 / k)] * k)
        assert law == pytest.approx(1e-3, rel=1e-12)


def test_the_chunked_knee_is_best_where_chunks_are_the_root() -> None:
    best = at(noise_knee(noise_law(CUT)).longest, m=12, k=2)
    knee = chunked_noise_knee(noise_law(CUT)).longest.subs({M: 12, BUDGET: VALUES[BUDGET]})
    found = [float(knee.subs(CHUNK, math.sqrt(best) * factor)) for factor in (0.9, 1.0, 1.1)]
    assert found[1] == pytest.approx(best, rel=1e-9)
    assert found[1] > max(found[0], found[2])


def test_parity_is_a_share_of_the_operands_noise() -> None:
    n = at(parity_knee(noise_law(NEAREST)).longest, m=7)
    share = noise_law(NEAREST).nmse(7, (n,)) / float(operand_nmse(3))
    assert share == pytest.approx(0.1, rel=1e-12)
    bits = parity_knee(noise_law(NEAREST)).bits
    plain = M_OP + sp.log(N / (4 * SHARE), 2) / 2
    assert sp.simplify(sp.expand_log(bits.subs(LEVELS, 1) - plain, force=True)) == 0


# accumulation facts §3: (1,6,9), uniform in 1 ± √3, stands still at 4096, and in chunks of 8 near a
# quarter of 65536: the terms are chunk sums then, and of those hardly any exceeds 16
@pytest.mark.parametrize(
    ("m_acc", "chunk", "stands", "tolerance"),
    [(9, 1, 4096, 0.0), (5, 1, 256, 0.0), (9, 8, 16384, 0.03)],
)
def test_a_sum_stands_still_at_the_knee(
    m_acc: int, chunk: int, stands: int, tolerance: float
) -> None:
    rng, form = np.random.default_rng(1), float_format(8, m_acc)
    terms = quantize(1 + math.sqrt(3.0) * (2 * rng.random((4 * stands, 8)) - 1), form)
    largest = 1 + math.sqrt(3.0) if chunk == 1 else 16.0
    s, inner = np.zeros(8), np.zeros(8)
    for k, term in enumerate(terms, 1):
        inner = quantize(inner + term, form)
        if k % chunk == 0:
            s, inner = quantize(s + inner, form), np.zeros(8)
    longest = float(stagnation_knee().longest.subs({M: m_acc, MEAN: 1, LARGEST: largest}))
    assert longest == stands
    assert np.all(np.abs(s - stands) <= tolerance * stands)


def test_truncation_loses_its_share_at_the_knee() -> None:
    products = Products(Operand(Shape.UNIFORM, mean=0.5))
    for chunk, levels in ((None, 1), (64, 2)):
        m_acc = at(truncation_knee().bits, n=4096, k=levels)
        nearest = math.ceil(m_acc)
        accumulator = Accumulator(float_format(8, nearest), CUT, chunk=chunk)
        bias = predict(accumulator, products, 4096).bias
        lost = -bias / math.sqrt(4096) / 0.5 * 2.0 ** (nearest - m_acc)
        # ulps are averaged over significands: a drifting sum has its own, within 8 %
        assert lost == pytest.approx(0.01, rel=0.15)


def test_a_length_that_is_always_accepted_is_refused() -> None:
    with pytest.raises(ValueError, match=f"sums of {2**40} products are still accepted"):
        accepted_length(40, 30)
    with pytest.raises(ValueError, match="cutoff on v"):
        accepted_length(9, 5, cutoff=1.0)
