"""Which terms the law of each block has, and what its variables are."""

from collections.abc import Mapping
from typing import Any

#: Terms by block and quantity. ``logic_gates`` is the area without flip-flops. Delay is that of
#: whole blocks: their parts overlap, so that no sum over parts would give it. Converters between
#: fixed and floating point have none: no short sum of terms meets their delays within 15 %.
#: Energies are per cycle; glitches scatter too much for a law, and are stated as a ratio.
SHAPES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "leading_zeros": {"logic_gates": ("1", "W")},
    "shift_left": {"logic_gates": ("1", "W", "W*W")},
    "shift_right_sticky": {"logic_gates": ("1", "W", "W*S")},
    "register": {"register_bits": ("W",)},
    "fp_add": {
        "logic_gates": (
            "1",
            "M",
            "E",
            "flushes",
            "truncates",
            "M*truncates",
            "stochastic",
            "R",
            "M*stochastic",
        ),
        "delay_ns": ("1", "M", "E", "flushes", "truncates", "M*truncates", "stochastic", "R"),
    },
    "fp_product": {
        "logic_gates": ("1", "Q", "P", "exponents", "flushes", "P*flushes"),
        "delay_ns": ("1", "P", "root_P", "Q", "exponents", "flushes", "P*flushes"),
    },
    "fp_mul": {
        "logic_gates": (
            "1",
            "Q",
            "P",
            "exponents",
            "flushes",
            "P*flushes",
            "truncates",
            "stochastic",
            "R",
        ),
        "delay_ns": ("1", "P", "root_P", "exponents", "root_P*flushes", "root_P*truncates"),
    },
    "fp_mac": {
        "logic_gates": (
            "1",
            "Q",
            "exponents",
            "E",
            "widest",
            "M",
            "flushes",
            "truncates",
            "stochastic",
            "R",
        ),
        "delay_ns": (
            "1",
            "root_P",
            "exponents",
            "E",
            "widest",
            "M",
            "truncates",
            "stochastic",
            "R",
        ),
        "clock_pj": ("bits",),
        "glitch_free_pj": ("1", "Q", "P", "widest", "M", "truncates", "stochastic"),
    },
    "fp_mac_rounded": {
        "logic_gates": ("1", "Q", "MP", "M"),
        "delay_ns": ("1", "P", "M"),
    },
    "fp_add_to": {
        "logic_gates": ("1", "MA", "M"),
        "delay_ns": ("1", "MA", "M"),
    },
    "fp_chunked_column": {
        "logic_gates": ("1", "PES", "PES*Q", "PES*M", "MO"),
    },
    "fixed_to_fp": {"logic_gates": ("1", "M", "narrowest", "W*M", "W*narrowest")},
    "fp_to_fixed": {"logic_gates": ("1", "W", "widest", "W*M")},
    "bfp_convert": {
        "logic_gates": ("1", "K", "K*M", "K*FRACTION"),
        "delay_ns": ("1", "root_K", "M", "FRACTION"),
    },
    "lns_mac": {
        "logic_gates": ("1", "I*P", "Q*P", "I*Q"),
        "delay_ns": ("1", "P", "I*Q"),
    },
    "lfsr": {"logic_gates": ("1", "STEPS")},
    "int_dot": {
        "logic_gates": ("1", "K*Q", "K*P", "P", "W"),
        "delay_ns": ("1", "K", "root_K", "Q", "P", "W"),
    },
    "fp_dot": {
        "logic_gates": ("1", "K*Q", "K*P", "K*KEPT", "K*exponents", "KEPT", "M"),
        "delay_ns": ("1", "K", "root_K", "P", "KEPT"),
    },
    "int_mac": {
        "logic_gates": ("1", "Q", "P", "W", "SATURATE"),
        "delay_ns": ("1", "P", "root_P", "root_W", "SATURATE"),
        "clock_pj": ("W",),
        "glitch_free_pj": ("1", "Q", "P", "W"),
    },
}


def variables(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The block's own parameters and what follows from them; all are in bits or are 0 or 1.

    - ``truncates``, ``stochastic``, ``flushes``: the choices that differ from rounding to nearest
      with subnormals; ``R``: random bits, 0 where no rounding draws them.
    - ``P``: bits of a product's significand, ``Q``: partial-product bits of its multiplier,
      ``exponents``: exponent bits of both operands.
    - ``widest``: the wider of product and accumulator; ``bits``: the accumulator's register.
    - ``root_P``, ``root_W``, ``root_K``: square roots, between the depth of trees, which is
      logarithmic, and that of ripples, which area-minimal mapping leaves in places.

    >>> x = variables({"E": 5, "M": 10, "SUBNORMALS": 0, "ROUNDING": 1})
    >>> x["flushes"], x["truncates"], x["stochastic"], x["R"]
    (1, 1, 0, 0)
    """
    x = {"1": 1, **parameters}
    return x | _choices(x) | _product(x) | _accumulator(x | _product(x))


def _choices(x: Mapping[str, Any]) -> dict[str, Any]:
    rounding = x.get("ROUNDING", 0)
    stochastic = 1 * (rounding == 2)
    return {
        "flushes": 1 - x.get("SUBNORMALS", x.get("SUBNORMALSA", 1)),
        "truncates": 1 * (rounding == 1),
        "stochastic": stochastic,
        "R": stochastic * x.get("R", 1),
    }


def _product(x: Mapping[str, Any]) -> dict[str, Any]:
    if "MA" in x and "MB" in x:
        a, b = x["MA"] + 1, x["MB"] + 1
        return {"P": a + b, "Q": a * b, "exponents": x["EA"] + x["EB"]}
    if "WA" in x:
        return {"P": x["WA"] + x["WB"], "Q": x["WA"] * x["WB"]}
    return {}


def _accumulator(x: Mapping[str, Any]) -> dict[str, Any]:
    found = {f"root_{name}": x[name] ** 0.5 for name in ("P", "W", "K") if name in x}
    if "E" in x and "M" in x:
        found["bits"] = 1 + x["E"] + x["M"]
        if "P" in x:
            found["widest"] = _larger(x["P"], x["M"] + 1)
        if "W" in x:
            found["widest"] = _larger(x["W"], x["M"] + 1)
            found["narrowest"] = x["W"] + x["M"] + 1 - found["widest"]
    return found


def _larger(a: Any, b: Any) -> Any:
    """The larger one, of numbers, arrays and symbols alike."""
    return (a + b + abs(a - b)) / 2
