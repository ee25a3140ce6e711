"""First-order noise of a sum of n zero-mean products, for every rounding that has a closed form.

One rounding of x to m fraction bits, its ulp w 2^−m |x| with a significand that is log-uniform
(E[w] = 1/(2 ln 2), E[w²] = 3/(8 ln 2)), does two things to x:

* it shifts x by −h ulp/2 on average, so by −λx with λ = h κ 2^−m, κ = E[w]/2 = 1/(4 ln 2);
* it adds noise of variance ulp²/12 to nearest, and (1 − h²/2) ulp²/6 by chance.

h = 0 for rounding to nearest and ideal stochastic rounding, 1 toward zero, and 2^−r where a
stochastic rounding looks at r random bits: it rounds up with probability ⌊2^r f⌋/2^r instead of f,
the fraction of an ulp, which is h/2 less on average. Truncation is its case r = 0.

The noise of n additions is Σ_i E[s_i²] = n²σ²/2 of that; shifts add up to e = −λ Σ_i s_i, and
E[(Σ_i s_i)²] = Σ_ij min(i, j) σ² = n³σ²/3. Divided by nσ²:

    NMSE = 4^−m (A n + D n²/3),    A = c or c (2 − h²),  D = h² κ²,  c = 3/(8 ln 2)/24 = 1/(64 ln 2)

With levels of n_1, n_2, … n_k terms, Π n_i = n (chunks of n_1 products, n_2 chunk sums, and so on),
the noise of each counts alone, and the shifts of any two correlate, E[e_i e_j] = λ² n_i n_j/4:

    NMSE = 4^−m (A Σ n_i + D (Σ n_i²/3 + Σ_{i<j} n_i n_j/2))

All of it is least where the n_i are equal, n^(1/k). Derived here and held to
:func:`analysis.noise.predict` and to simulation in the tests.

Valid while NMSE ≪ 1, n_i ≫ 1, and for products whose own grid lies well below the sum's ulp; a
coarser grid makes additions exact, and the law an upper estimate. So it is, for r random bits, in
the outer sum of chunks, whose terms lie on the inner sums' grid.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import sympy as sp

from analysis.formats import Rounding

#: c: random noise of rounding to nearest, and κ: half an ulp of truncation over |x| 2^−m
NEAREST_NOISE = 1 / (64 * sp.log(2))
HALF_ULP = 1 / (4 * sp.log(2))
#: c as a number
SUM_NOISE = float(NEAREST_NOISE)


@dataclass(frozen=True, slots=True)
class NoiseLaw:
    """NMSE 4^m = A Σ n_i + D (Σ n_i²/3 + Σ_{i<j} n_i n_j/2), of levels of n_i terms each."""

    noise: sp.Expr  #: A
    drift: sp.Expr  #: D

    def scaled(self, lengths: Sequence[sp.Expr | float]) -> sp.Expr:
        """NMSE 4^m of the levels' ``lengths``, the innermost first.

        >>> noise_law(Rounding.NEAREST_EVEN).scaled([64, 64])
        2/log(2)
        """
        pairs = sum(one * other for one, other in combinations(lengths, 2))
        squares = sum(length**2 for length in lengths)
        drift = self.drift * (squares / sp.Integer(3) + pairs / sp.Integer(2))
        return self.noise * sum(lengths) + drift

    def nmse(self, mantissa_bits: float, lengths: Sequence[float]) -> float:
        """NMSE of a sum in ``mantissa_bits`` bits at every level."""
        return float(self.scaled(lengths) / 4.0**mantissa_bits)

    def bits(self, budget: float, lengths: Sequence[float]) -> float:
        """m = ½ log2(NMSE 4^m/budget), the least mantissa, a real number (below 0: none is needed).

        Raises:
            ValueError: the budget is not a positive, finite number.
        """
        check_budget(budget)
        return math.log2(float(self.scaled(lengths)) / budget) / 2.0


def operand_nmse(m_op: npt.ArrayLike) -> Any:
    """NMSE of a dot product whose operands are both rounded to nearest at ``m_op`` fraction bits.

    Each operand errs by ulp²/12 of log-uniform significands, 2c 4^−m of its power, and the two
    errors are independent: 4c 4^−m.
    """
    return 4.0 * SUM_NOISE * np.exp2(-2.0 * np.asarray(m_op, dtype=np.float64))


def check_budget(budget: float) -> None:
    """Raise ValueError unless ``budget`` is positive and finite."""
    if not 0.0 < budget < math.inf:
        raise ValueError(f"budget (NMSE) must be positive and finite, got {budget}")


def noise_law(rounding: Rounding, random_bits: int | None = None) -> NoiseLaw:
    """The law of sums rounded so at every addition; ``random_bits`` None is ideal.

    >>> noise_law(Rounding.STOCHASTIC, 1).drift == noise_law(Rounding.TOWARD_ZERO).drift / 4
    True

    Raises:
        ValueError: rounding up or down, whose bias does not change its sign with the sum and grows
            with the number of chunks; random bits without stochastic rounding, or below 1.
    """
    if random_bits is not None and (rounding is not Rounding.STOCHASTIC or random_bits < 1):
        raise ValueError(f"noise law: {rounding} cannot have {random_bits} random bits")
    match rounding:
        case Rounding.NEAREST_EVEN | Rounding.NEAREST_AWAY:
            return NoiseLaw(NEAREST_NOISE, sp.Integer(0))
        case Rounding.TOWARD_ZERO:
            return truncation_law(sp.Integer(1))
        case Rounding.STOCHASTIC:
            missing = sp.Rational(1, 2**random_bits) if random_bits else sp.Integer(0)
            return truncation_law(missing)
        case Rounding.UP | Rounding.DOWN:
            raise ValueError(f"noise law: rounding must not be directed, got {rounding}")
        case _:
            assert_never(rounding)


def truncation_law(h: sp.Expr) -> NoiseLaw:
    """Of a rounding by chance that goes up too seldom, by h/2 on average; h = 1 truncates."""
    return NoiseLaw(NEAREST_NOISE * (2 - h**2), (h * HALF_ULP) ** 2)
