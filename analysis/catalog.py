"""Named number formats and accumulators, each with its source.

A machine stands here if an :class:`Accumulator` says what it computes, bit for bit, but for the
corners below. Sources:

- MMA-Sim 2.1.1: bit-accurate models checked against the hardware (arXiv 2511.10909,
  github.com/microsoft/MMA-Sim). For NVIDIA, those of Khattak and Mikaitis agree (arXiv 2512.07004,
  github.com/north-numerical-computing/MATLAB-tensor-core).
- OCP 8-bit: OCP 8-bit Floating Point Specification 1.0 (2023), tables 1 and 2.
- OCP MX: OCP Microscaling Formats Specification 1.0 (2023).
- ml_dtypes: the type of that name in github.com/jax-ml/ml_dtypes.

Operands must be values of the format in a machine's name: units of TF32 cut what they are given,
and CDNA2 takes subnormal operands for zero. Corners, where MMA-Sim says otherwise:

- a tensor core's truncated sum of 2^128 or more is infinite, here the largest value; a product of
  that size is infinite on CDNA3 (bfloat16 and TF32 only);
- a zero takes part in a tensor core's alignment as if it were about 2^-132 (2^-20 where the result
  is float16), here not at all;
- CDNA3 cuts the joined sum once more, 31 bits below its own exponent; it shows in a tie, where the
  sum has left the binade of its larger part.

Left out, because no value says it: sums of float64; CDNA1 (four products exactly); CDNA3 with FP8
operands (even and odd products apart); block-scaled MXFP8, MXFP4 and NVFP4 on Blackwell (scales
take part in the alignment).
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from analysis.formats import (
    Accumulator,
    BlockFormat,
    FixedFormat,
    FloatFormat,
    Fused,
    LowestCodes,
    Outside,
    Overflow,
    Product,
    Rounding,
    TopCodes,
    Tree,
    float_format,
)

Value = TypeVar("Value")
INFINITY, NUMBERS = Overflow.INFINITY, TopCodes.NUMBERS

_FORMATS: tuple[FloatFormat | FixedFormat, ...] = (
    # IEEE 754-2019, table 3.5
    FloatFormat("float32", 8, 23, overflow=INFINITY),
    FloatFormat("float16", 5, 10, overflow=INFINITY),
    # float32 cut to 16 bits, and to the 19 bits of NVIDIA's Ampere whitepaper (2020)
    FloatFormat("bfloat16", 8, 7, overflow=INFINITY),
    FloatFormat("tf32", 8, 10, overflow=INFINITY),
    # OCP 8-bit; of its two conversions the saturating one, which is what PTX offers (cvt.satfinite)
    FloatFormat("fp8_e5m2", 5, 2),
    FloatFormat("fp8_e4m3", 4, 3, top=TopCodes.ONE_NAN),
    # ml_dtypes float8_e4m3 and float8_e3m4: the top exponent reserved as in IEEE 754
    FloatFormat("fp8_e4m3_ieee", 4, 3),
    FloatFormat("fp8_e3m4", 3, 4),
    # ml_dtypes float8_*fnuz: no infinity, the code of -0 is NaN (CDNA3; Noune et al., 2206.02915)
    FloatFormat("fp8_e5m2fnuz", 5, 2, exponent_bias=16, top=NUMBERS),
    FloatFormat("fp8_e4m3fnuz", 4, 3, exponent_bias=8, top=NUMBERS),
    FloatFormat("fp8_e4m3b11fnuz", 4, 3, exponent_bias=11, top=NUMBERS),
    # OCP MX, elements of MXFP6 and MXFP4
    FloatFormat("fp6_e3m2", 3, 2, top=NUMBERS),
    FloatFormat("fp6_e2m3", 2, 3, top=NUMBERS),
    FloatFormat("fp4_e2m1", 2, 1, top=NUMBERS),
    # Wang et al. (NeurIPS 2018, arXiv 1812.08011): "FP8" (1,5,2) and "FP16" (1,6,9)
    float_format(5, 2),
    float_format(6, 9),
    # "FP22", the FP8 sums of Ada and Hopper (MMA-Sim E8M13; DeepGEMM issue 50)
    FloatFormat("e8m13", 8, 13, overflow=INFINITY),
    FixedFormat("int8", 8),
    FixedFormat("int16", 16),
    FixedFormat("int32", 32),
)

#: name to format
FORMATS: Mapping[str, FloatFormat | FixedFormat] = MappingProxyType({f.name: f for f in _FORMATS})


def _floating(name: str) -> FloatFormat:
    form = FORMATS[name]
    assert isinstance(form, FloatFormat)
    return form


FLOAT32, FLOAT16, E8M13 = (_floating(name) for name in ("float32", "float16", "e8m13"))
HALVES, FP8 = ("float16", "bfloat16"), ("fp8_e5m2", "fp8_e4m3")
FP6_FP4 = ("fp6_e3m2", "fp6_e2m3", "fp4_e2m1")

#: architecture, its operands' formats, products in a step, bits kept below the largest exponent;
#: MMA-Sim nv_ptx/sim.py (mma; Hopper: wgmma; Blackwell: tcgen05)
TENSOR_CORES = (
    ("volta", ("float16",), 4, 23),
    ("turing", ("float16",), 8, 24),
    ("ampere", HALVES, 8, 24),
    ("ampere", ("tf32",), 4, 24),
    ("ada", HALVES, 8, 24),
    ("ada", ("tf32",), 4, 24),
    ("ada", FP8, 16, 13),
    ("hopper", HALVES, 16, 25),
    ("hopper", ("tf32",), 8, 25),
    ("hopper", FP8, 32, 13),
    ("blackwell", HALVES, 16, 25),
    ("blackwell", ("tf32",), 8, 25),
    ("blackwell", (*FP8, *FP6_FP4), 32, 25),
)


def _least_exponents(operands: str) -> tuple[int, int]:
    """Subnormals are not normalised: they count with the exponent of the lowest binade."""
    return _floating(operands).emin, _floating(operands).emin


def _tensor_core(operands: str, terms: int, kept_bits: int) -> Accumulator:
    """A float32 result, truncated; where 13 bits are kept its register holds no more."""
    order = Fused(terms, kept_bits, least_exponents=_least_exponents(operands))
    return Accumulator(E8M13 if kept_bits == 13 else FLOAT32, Rounding.TOWARD_ZERO, order=order)


class Unit(NamedTuple):
    """An accumulator, and the name of the format of its operands; None: whatever it is given."""

    operands: str | None
    accumulator: Accumulator


def _tensor_cores() -> dict[str, Unit]:
    """``hopper_float16`` has a float32 result, ``hopper_float16_to_float16`` a rounded float16."""
    named = {}
    for architecture, formats, terms, kept_bits in TENSOR_CORES:
        for operands in formats:
            name, unit = f"{architecture}_{operands}", _tensor_core(operands, terms, kept_bits)
            named[name] = Unit(operands, unit)
            if operands in ("float16", *FP8, *FP6_FP4):
                narrow = Accumulator(FLOAT16, order=unit.order)
                named[f"{name}_to_float16"] = Unit(operands, narrow)
    return named


def _promoted(operands: str) -> Unit:
    """Hopper's FP8 sums, added up in float32 every four instructions of 32 products.

    DeepSeek-V3 (arXiv 2412.19437), section 3.3.2.
    """
    inner = _tensor_core(operands, 32, 13)
    outer = Accumulator(FLOAT32)
    promoted = Accumulator(inner.format, inner.rounding, chunk=128, outer=outer, order=inner.order)
    return Unit(operands, promoted)


def _cdna3(operands: str, terms: int) -> Unit:
    """MMA-Sim amd/sim.py: products cut to 24 bits, their sum and the running one rounded down."""
    outside = Outside(terms_bits=31, sum_bits=24, alignment=Rounding.DOWN)
    least = _least_exponents(operands)
    order = Fused(terms, 24, outside=outside, least_exponents=least)
    return Unit(operands, Accumulator(FLOAT32, order=order))


def _cdna2(operands: str, terms: int) -> Unit:
    """MMA-Sim arithmetic/ftz_mul_add.py: a tree of float32 sums, without subnormals."""
    flushing = FloatFormat("float32_flush", 8, 23, lowest=LowestCodes.ZERO, overflow=INFINITY)
    tree = Accumulator(flushing, chunk=terms, order=Tree(), product=Product(flushing))
    return Unit(operands, tree)


def _blumenfeld() -> Accumulator:
    """M7E4 with biases 10 (sums) and 12 (products); every result is cut, and below 2^-bias zero.

    Blumenfeld, Hubara and Soudry (ICLR 2024, arXiv 2401.14110); their kernel masks the mantissa of
    a float32, which cuts magnitudes, and adds chunk sums by the same rule.
    """
    sums, products = (
        FloatFormat(name, 4, 7, bias, top=NUMBERS, lowest=LowestCodes.NORMAL)
        for name, bias in (("m7e4_bias10", 10), ("m7e4_bias12", 12))
    )
    product = Product(products, Rounding.TOWARD_ZERO)
    return Accumulator(sums, Rounding.TOWARD_ZERO, chunk=16, product=product)


_UNITS: Mapping[str, Unit] = {
    # a fused multiply-add each, in the formats above
    "float32": Unit(None, Accumulator(FLOAT32)),
    "float16": Unit(None, Accumulator(FLOAT16)),
    "bfloat16": Unit(None, Accumulator(_floating("bfloat16"))),
    "int32": Unit("int8", Accumulator(FixedFormat("int32", 32))),
    "int32_wrap": Unit("int8", Accumulator(FixedFormat("int32_wrap", 32, overflow=Overflow.WRAP))),
    # OCP MX: 32 elements in 64ths of a shared power of two. The specification leaves
    # the sums' precision open; here they are exact in a block and float32 between blocks
    "mxint8": Unit(
        "mxint8",
        Accumulator(BlockFormat("mxint8", 32, 6, 6), chunk=32, outer=Accumulator(FLOAT32)),
    ),
    # Wang et al. (NeurIPS 2018): FP8 products, nearest rounding, chunks of 64
    "wang_2018": Unit("fp8_e5m2", Accumulator(float_format(6, 9), chunk=64)),
    "blumenfeld_2024": Unit(None, _blumenfeld()),
    **_tensor_cores(),
    **{f"hopper_{operands}_promoted": _promoted(operands) for operands in FP8},
    "cdna3_float16": _cdna3("float16", 8),
    "cdna3_bfloat16": _cdna3("bfloat16", 8),
    "cdna3_xf32": _cdna3("tf32", 4),
    "cdna2_float16": _cdna2("float16", 4),
    "cdna2_bfloat16": _cdna2("bfloat16", 4),  # instructions "_1k"
    "cdna2_bfloat16_pairs": _cdna2("bfloat16", 2),  # those before
}

#: name to accumulator
ACCUMULATORS: Mapping[str, Accumulator] = MappingProxyType(
    {name: unit.accumulator for name, unit in _UNITS.items()}
)
#: short names, and what they stand for: FP8 of a forward pass (Micikevicius et al., 2209.05433)
_SHORT = {name.replace("_fp8_e4m3", "_fp8"): name for name in _UNITS if "_fp8_e4m3" in name}


def _named(kind: str, name: str, catalog: Mapping[str, Value]) -> Value:
    if name not in catalog:
        nearest = get_close_matches(name, catalog, n=1, cutoff=0)[0]
        raise ValueError(f"catalogue: no {kind} is named {name!r}; the nearest is {nearest!r}")
    return catalog[name]


def named_format(name: str) -> FloatFormat | FixedFormat:
    """The format of that name.

    >>> named_format("fp8_e4m3").largest
    Fraction(448, 1)

    Raises:
        ValueError: there is none; the message has the nearest name.
    """
    return _named("format", name, FORMATS)


def named_accumulator(name: str) -> Accumulator:
    """The accumulator of that name; hyphens are underscores, and fp8 alone is fp8_e4m3.

    >>> named_accumulator("hopper-fp8") is ACCUMULATORS["hopper_fp8_e4m3"]
    True

    Raises:
        ValueError: there is none; the message has the nearest name.
    """
    return _unit(name).accumulator


def operands_of(name: str) -> str | None:
    """The format of the operands of a named accumulator; None: whatever it is given.

    >>> operands_of("wang_2018")
    'fp8_e5m2'

    Raises:
        ValueError: there is no accumulator of that name.
    """
    return _unit(name).operands


def _unit(name: str) -> Unit:
    plain = name.replace("-", "_")
    return _named("accumulator", _SHORT.get(plain, plain), _UNITS)
