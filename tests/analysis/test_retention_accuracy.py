"""Ten digits of 1 − VRR, however small: against sympy, mpmath and direct sums; and what it costs.

The sums here are written anew, term by term from the paper in the positive form, and cost O(n).
"""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import erf, erfc

from analysis import derivation, retention
from analysis.retention import log_variance_lost, variance_retention_full_swamping

LONGEST = 20_000
SMALLEST = 1e-280  # below, float64 is about to lose digits itself


def alphas(m_acc: int, m_p: int) -> list[Fraction]:
    """α_1 … α_{m_p+1}, exact."""
    out = [Fraction(0)]
    for j in range(1, m_p + 1):
        unit = Fraction(2) ** (m_acc - 3 * m_p) / 3
        out.append(out[-1] + unit * 2**j * (2**j - 1) * (2 ** (j + 1) - 1))
    return out


def two_q(exponent: int, n: int) -> mpmath.mpf:
    """2Q(2^exponent/√n)."""
    return mpmath.erfc(mpmath.mpf(2) ** exponent / mpmath.sqrt(2 * n))


@functools.cache
def full_weights(m_acc: int) -> npt.NDArray[np.float64]:
    """q_i for i = 0 … LONGEST, each correctly rounded from 25 digits; zero below 1e-300."""
    weights = np.zeros(LONGEST + 1)
    with mpmath.workdps(25):
        before = two_q(m_acc, 1)
        for i in range(2, LONGEST + 1):
            if 4.0**m_acc > 1400 * i:  # 2Q < exp(−700)
                continue
            tail = two_q(m_acc, i)
            weights[i] = float(tail * (1 - before))
            before = tail
    return weights


def lost(m_acc: int, m_p: int, n: int, weights: npt.NDArray[np.float64]) -> float:
    """1 − VRR of Theorem 1 as a sum of positive terms; ``weights`` are the q_i."""
    stages = alphas(m_acc, m_p)
    partial, mass = mpmath.mpf(0), 1 - two_q(m_acc - m_p + 1, n)
    for j in range(2, m_p + 1):
        if n > stages[j - 1]:
            weight = two_q(m_acc - m_p + j - 1, n) * (1 - two_q(m_acc - m_p + j, n))
            weight *= mpmath.mpf(2) ** (m_acc - m_p + j)
            partial += weight * stages[j - 1].numerator / stages[j - 1].denominator
            mass += weight
    first = max(2, int(stages[-1]) + 1)  # the least i > α
    q = weights[first:n]
    i = np.arange(first, first + len(q))
    full = float(np.sum((n - i + float(stages[-1])) * q))
    return float((partial + full) / ((mass + float(np.sum(q))) * n))


def relative_errors(computed: Sequence[float], exact: Sequence[float]) -> npt.NDArray[np.float64]:
    """Of the values that float64 holds to full precision; the others must be as small."""
    value, truth = np.array(computed), np.array(exact)
    large = truth > SMALLEST
    assert np.all(value[~large] <= 2 * SMALLEST)
    return np.asarray(np.abs(value[large] / truth[large] - 1))


# 155 and 1240 are α of (8, 3) and (11, 3): there i > α must not let i = α in
ACCURACY_LENGTHS = (2, 3, 10, 31, 33, 64, 155, 156, 256, 1000, 1241, 4096, 4097, 10160, 20000)


@pytest.mark.parametrize("m_acc", range(1, 21))
def test_ten_digits_against_high_precision(m_acc: int) -> None:
    weights = full_weights(m_acc)
    pairs = [(m_p, n) for m_p in range(1, 13) for n in ACCURACY_LENGTHS]
    with mpmath.workdps(25):
        exact = [lost(m_acc, m_p, n, weights) for m_p, n in pairs]
    m_p, n = np.array(pairs).T
    computed = log_variance_lost(m_acc, m_p, n) / n
    assert np.max(relative_errors(computed.tolist(), exact)) < 1e-10


def test_small_losses_are_among_the_tested() -> None:
    with mpmath.workdps(25):
        tiny = lost(10, 1, 1000, full_weights(10))
    assert SMALLEST < tiny < 1e-200


@pytest.mark.parametrize("m_acc", [3, 8, 10, 12, 14, 15, 16, 18])
def test_ten_digits_at_three_million_terms(m_acc: int) -> None:
    n = 3_211_264  # GRAD of ResNet-18's conv0 at a batch of 256
    i = np.arange(1, n + 1, dtype=np.float64)
    edge = 2.0**m_acc / np.sqrt(2 * i)
    weights = np.zeros(n + 1)
    weights[2:] = erfc(edge[1:]) * erf(edge[:-1])
    with mpmath.workdps(25):
        exact = [lost(m_acc, m_p, n, weights) for m_p in (1, 2, 5, 12)]
    computed = log_variance_lost(m_acc, [1, 2, 5, 12], n) / n
    assert np.max(relative_errors(computed.tolist(), exact)) < 1e-10


@pytest.mark.parametrize(
    ("m_acc", "m_p", "n"),
    [(1, 1, 2), (5, 5, 196), (8, 3, 155), (8, 3, 160), (6, 12, 300), (9, 2, 700), (14, 5, 400)],
)
def test_theorem_1_against_its_symbolic_form(m_acc: int, m_p: int, n: int) -> None:
    values = {derivation.M_ACC: m_acc, derivation.M_P: m_p, derivation.N: n}
    literal = derivation.evaluate(derivation.theorem_1(), values, digits=60)
    with mpmath.workdps(60):
        lost_by_formula = float(1 - literal)
    computed = log_variance_lost(m_acc, m_p, n) / n
    if lost_by_formula == 0.0:
        assert computed == 0.0
    else:
        assert computed / lost_by_formula == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize(("m_acc", "n"), [(1, 2), (5, 256), (4, 700)])
def test_lemma_1_against_its_symbolic_form(m_acc: int, n: int) -> None:
    values = {derivation.M_ACC: m_acc, derivation.N: n}
    exact = float(derivation.evaluate(derivation.lemma_1(), values, digits=30))
    assert variance_retention_full_swamping(m_acc, n) == pytest.approx(exact, rel=1e-14)


def test_chunked_4608_really_passes_with_four_bits() -> None:
    # the facts' tables start at 5 bits; the least width is searched from 1
    v_of_stage = []
    for m_p, n in ((5, 64), (4, 72)):  # min(4, 5 + 6) = 4 product bits outside
        with mpmath.workdps(25):
            v_of_stage.append(np.exp(n * lost(4, m_p, n, full_weights(4))))
    assert max(v_of_stage) < 50
    assert max(v_of_stage) == pytest.approx(np.exp(3.1325888), rel=1e-6)
    with mpmath.workdps(25):
        assert np.exp(72 * lost(3, 3, 72, full_weights(3))) > 50


def evaluations(monkeypatch: pytest.MonkeyPatch, m_acc: int, n: int) -> int:
    """How often q_i is evaluated for one sum of n terms."""
    count = 0

    def counted(i: float, swamp: float) -> Any:
        nonlocal count
        count += 1
        return weight(i, swamp)

    weight = retention._q.py_func
    monkeypatch.setattr(retention, "_q", counted)
    retention._full_swamping_sums.py_func(2.0**m_acc / np.sqrt(2), n, 0.0)
    monkeypatch.undo()
    return count


@pytest.mark.parametrize("m_acc", [2, 10, 16, 21])
def test_terms_are_evaluated_in_proportion_to_log_n(
    monkeypatch: pytest.MonkeyPatch, m_acc: int
) -> None:
    counts = np.array([evaluations(monkeypatch, m_acc, 2**k) for k in range(6, 41)])
    assert counts[0] == 2**6 - 2  # short sums: term by term
    assert np.max(np.diff(counts)) <= 5 * 16  # an octave costs at most five rules of 16 nodes
