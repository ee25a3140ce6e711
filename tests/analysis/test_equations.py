"""The catalogue: what it shows is what the code computes."""

import math

import pytest
import sympy as sp

from analysis import derivation
from analysis.closed_forms import LEVELS, LIMIT, M, N
from analysis.distributions import Operand, Products, Shape
from analysis.equations import RANDOM_BITS, RATIO, equations
from analysis.formats import Accumulator, Rounding, float_format
from analysis.noise import predict
from analysis.noise_laws import noise_law

EQUATIONS = {one.name: one for one in equations()}
GAUSSIAN = Products(Operand(Shape.GAUSSIAN))


def test_every_equation_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len(EQUATIONS) == len(equations())
    for one in equations():
        assert one.says
        assert one.source
        assert " = " in one.latex
        assert one.latex.count("{") == one.latex.count("}")


def test_theorem_1_written_out_is_the_derivations() -> None:
    d = derivation
    q, partial, alpha = (sp.IndexedBase(name) for name in ("q", "q'", "alpha"))
    named = {
        q[d.STEP]: EQUATIONS["q_i"].right,
        partial[d.STAGE]: EQUATIONS["q'_j"].right,
        alpha[d.STAGE]: EQUATIONS["alpha_j"].right,
        sp.Symbol("alpha"): EQUATIONS["alpha"].right,
        sp.Symbol("k_3"): EQUATIONS["k_3"].right,
    }
    values = {d.M_ACC: 5, d.M_P: 3, d.N: 40}
    shown = d.evaluate(EQUATIONS["VRR"].right.xreplace(named), values, digits=30)
    assert shown == d.evaluate(d.theorem_1(), values, digits=30)


def test_corollary_and_v_name_the_theorem() -> None:
    d, vrr = derivation, sp.Function("VRR")
    inner = vrr(d.M_ACC, d.M_P, d.N_1)
    outer = EQUATIONS["VRR_chunked"].right / inner
    assert outer.subs({d.M_ACC: 8, d.M_P: 5, d.N_1: 64, d.N_2: 9}) == vrr(8, 8, 9)
    assert EQUATIONS["v"].right.subs(vrr(d.M_ACC, d.M_P, d.N), 1 - 2 / d.N) == sp.exp(2)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "rounding", "random_bits"),
    [
        ("to nearest", Rounding.NEAREST_EVEN, None),
        ("by chance", Rounding.STOCHASTIC, None),
        ("by chance with r random bits", Rounding.STOCHASTIC, 3),
        ("toward zero", Rounding.TOWARD_ZERO, None),
    ],
)
def test_laws_of_noise(name: str, rounding: Rounding, random_bits: int | None, levels: int) -> None:
    n = 512.0**levels
    shown = EQUATIONS[f"NMSE, {name}"].right.subs({N: n, M: 9, LEVELS: levels, RANDOM_BITS: 3})
    law = noise_law(rounding, random_bits)
    assert float(shown) == pytest.approx(law.nmse(9, [512.0] * levels), rel=1e-12)


@pytest.mark.parametrize(("m_acc", "n"), [(5, 1024), (7, 4096), (6, 256), (9, 512), (10, 512)])
def test_a_truncated_sum_is_an_ornstein_uhlenbeck_process(m_acc: int, n: int) -> None:
    accumulator = Accumulator(float_format(8, m_acc), Rounding.TOWARD_ZERO)
    found, values = predict(accumulator, GAUSSIAN, n), {M: m_acc, N: n}
    retention = float(EQUATIONS["retention, truncated"].right.subs(values))
    nmse = float(EQUATIONS["NMSE, truncated"].right.subs(values))
    assert retention == pytest.approx(found.retention, rel=0.02)
    assert nmse == pytest.approx(found.nmse, rel=0.02)


def test_small_truncation_noise_is_its_drift_alone() -> None:
    ratio = EQUATIONS["NMSE, truncated"].right / (noise_law(Rounding.TOWARD_ZERO).drift * N**2 / 3)
    assert sp.limit((ratio * 4**M).subs(M, 0), N, 0) == 1


def test_the_optimum_is_flat() -> None:
    extra, law = EQUATIONS["flat optimum"].right, noise_law(Rounding.NEAREST_EVEN)
    for ratio in (0.25, 1.0, 3.0):
        bits = law.bits(1e-3, (64 * ratio, 64 / ratio)) - law.bits(1e-3, (64, 64))
        assert float(extra.subs(RATIO, ratio)) == pytest.approx(bits, abs=1e-12)
    assert float(extra.subs(RATIO, 2 + math.sqrt(3))) == pytest.approx(0.5)  # chunking's docstring


def test_the_theorems_law_is_the_one_its_knee_solves() -> None:
    limit = {LIMIT: 50, LEVELS: 1}
    bits = EQUATIONS["theorem: least width"].right.subs(limit)
    found = EQUATIONS["ln v"].right.subs(M, bits).subs(N, 5000)
    assert float(found) == pytest.approx(math.log(50), rel=1e-12)
    assert EQUATIONS["ln v"].left == sp.log(LIMIT)
