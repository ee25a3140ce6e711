"""Every equation of the theory, as sympy expressions with their LaTeX and where they come from.

Those that were published are in the integer symbols of :mod:`analysis.derivation`, which evaluates
them; those that follow in the real ones of :mod:`analysis.closed_forms`. Fine products are those on
a grid well below the sum's ulp.
"""

from dataclasses import dataclass, replace

import sympy as sp

from analysis import derivation
from analysis.closed_forms import (
    LEVELS,
    LIMIT,
    THEOREM_CONSTANT,
    Knee,
    M,
    N,
    chunked_noise_knee,
    full_swamping_knee,
    noise_knee,
    parity_knee,
    stagnation_knee,
    theorem_knee,
    truncation_knee,
)
from analysis.formats import Rounding
from analysis.noise_laws import HALF_ULP, NEAREST_NOISE, NoiseLaw, noise_law, truncation_law

_SAKR = "Sakr et al., ICLR 2019, arXiv 1901.06588"
_OURS = "analysis.noise_laws"
#: random bits of a stochastic rounding; a chunk in units of √n
RANDOM_BITS, RATIO = sp.symbols("r rho", positive=True)
#: what Theorem 1 is made of, named instead of written out
_Q, _Q_PARTIAL, _ALPHAS = (sp.IndexedBase(name) for name in ("q", "q'", "alpha"))
_K_3, _ALPHA = sp.symbols("k_3 alpha")
_VRR = sp.Function("VRR")


@dataclass(frozen=True, slots=True)
class Equation:
    """left = right, and what it says."""

    name: str
    says: str
    source: str
    left: sp.Expr
    right: sp.Expr

    @property
    def latex(self) -> str:
        """Both sides, without the dollars."""
        return f"{sp.latex(self.left)} = {sp.latex(self.right)}"


def _left(text: str) -> sp.Symbol:
    return sp.Symbol(text)


def _theorem_1() -> sp.Expr:
    """Theorem 1 in q_i, q'_j, k_3, α and α_j."""
    d = derivation
    weights = d.Weights(
        full=sp.Piecewise((_Q[d.STEP], d.alpha() < d.STEP), (0, True)),
        partial=sp.Piecewise((_Q_PARTIAL[d.STAGE], d.alpha(d.STAGE) < d.N), (0, True)),
        none=_K_3,
    )
    losses = {d.alpha(): _ALPHA, d.alpha(d.STAGE): _ALPHAS[d.STAGE]}
    return (d.numerator(weights) / (d.normaliser(weights) * d.N)).xreplace(losses)


def _published() -> tuple[Equation, ...]:
    d = derivation
    grown = sp.Min(d.M_ACC, d.M_P + sp.floor(sp.log(d.N_1, 2)))
    chunked = _VRR(d.M_ACC, d.M_P, d.N_1) * _VRR(d.M_ACC, grown, d.N_2)
    lost = d.N * (1 - _VRR(d.M_ACC, d.M_P, d.N))
    rows = (
        ("q_i", "the i-th addition is the first whose addend is lost", d.full_swamping_weight()),
        ("N_j", "additions spent in stage j of partial swamping", d.iterations()),
        ("alpha_j", "variance lost before stage j", d.alpha(d.STAGE)),
        ("alpha", "variance lost before the sum swamps fully", d.alpha()),
        ("q'_j", "partial swamping stops at stage j", d.partial_swamping_weight()),
        ("k_3", "nothing is swamped", d.no_swamping_weight()),
        ("VRR_full", "variance retention under full swamping: Lemma 1", d.lemma_1()),
        ("VRR", "variance retention: Theorem 1", _theorem_1()),
        ("VRR_chunked", "variance retention in chunks of n_1: corollary", chunked),
        ("v", "normalised variance lost; below 50 is accepted", sp.exp(lost)),
    )
    return tuple(Equation(name, says, _SAKR, _left(name), right) for name, says, right in rows)


def _noise(name: str, law: NoiseLaw) -> Equation:
    says = f"first-order noise of fine products rounded {name}, at k levels of n^(1/k) terms"
    x = N ** (1 / LEVELS)
    right = (law.noise * LEVELS * x + law.drift * LEVELS * (3 * LEVELS + 1) / 12 * x**2) / 4**M
    return Equation(f"NMSE, {name}", says, _OURS, _left("NMSE"), right)


def _truncated() -> tuple[Equation, ...]:
    """ds = −κ 2^−m s dt + dW: an Ornstein-Uhlenbeck process, of any error."""
    x = HALF_ULP * N / 2**M
    retention = (1 - sp.exp(-2 * x)) / (2 * x)
    lost = 2 * (1 - sp.exp(-x)) / x
    says = "{} of a plain sum of fine symmetric products truncated toward zero, also swamped"
    return (
        Equation("retention, truncated", says.format("retention"), _OURS, _left("R"), retention),
        Equation(
            "NMSE, truncated", says.format("NMSE"), _OURS, _left("NMSE"), retention - lost + 1
        ),
    )


def _knee(knee: Knee) -> tuple[Equation, ...]:
    rows = (
        ("longest sum", "n^*", knee.longest),
        ("least width", "m^*", knee.bits),
        ("bits per factor e of length", r"\frac{d m^*}{d \ln n}", knee.sensitivity),
    )
    return tuple(
        Equation(f"{knee.name}: {what}", knee.criterion, knee.source, _left(left), right)
        for what, left, right in rows
    )


def _flat_optimum() -> Equation:
    says = "bits that chunks of rho sqrt(n) cost over the best, rounded to nearest or by chance"
    right = sp.log((RATIO + 1 / RATIO) / 2, 2) / 2
    return Equation("flat optimum", says, _OURS, _left(r"\Delta m"), right)


def equations() -> tuple[Equation, ...]:
    """What was published, what follows from it, and the laws of noise, in this order.

    >>> [one.latex for one in equations() if one.name == "N_j"]
    ['N_{j} = 2^{j + m_{acc} - m_{p} + 1}']
    """
    nearest, cut = noise_law(Rounding.NEAREST_EVEN), noise_law(Rounding.TOWARD_ZERO)
    by_chance = noise_law(Rounding.STOCHASTIC)
    drift = THEOREM_CONSTANT * N ** sp.Rational(3, 2) / 4**M
    truncated = replace(noise_knee(cut), name="truncation noise")
    knees = (
        theorem_knee(), theorem_knee().in_chunks(), full_swamping_knee(), noise_knee(nearest),
        chunked_noise_knee(nearest), truncated, parity_knee(nearest), stagnation_knee(),
        truncation_knee(),
    )  # fmt: skip
    return (
        *_published(),
        Equation("ln v", "variance lost between the stages", _SAKR, sp.log(LIMIT), drift),
        Equation("c", "noise of rounding to nearest", _OURS, _left("c"), NEAREST_NOISE),
        _noise("to nearest", nearest),
        _noise("by chance", by_chance),
        _noise("by chance with r random bits", truncation_law(2**-RANDOM_BITS)),
        _noise("toward zero", cut),
        *_truncated(),
        _flat_optimum(),
        *(equation for knee in knees for equation in _knee(knee)),
    )
