"""The catalogue against its sources: tables of the specifications, and units seen from outside."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from analysis.catalog import (
    ACCUMULATORS,
    FORMATS,
    named_accumulator,
    named_format,
    operands_of,
)
from analysis.emulation.reference import matmul_exact
from analysis.formats import BlockFormat, FixedFormat, FloatFormat, Fused

#: untyped in ml_dtypes
finfo: Callable[[Any], Any] = ml_dtypes.finfo


def dot(name: str, a: Sequence[float], b: Sequence[float], start: float = 0.0) -> float:
    product = matmul_exact(
        np.array([a]), np.array(b)[:, None], named_accumulator(name), start=np.array([[start]])
    )
    return float(product[0, 0])


def total(name: str, terms: Sequence[float], start: float = 0.0) -> float:
    """The sum of the terms as products with 1."""
    return dot(name, terms, [1.0] * len(terms), start)


def floating(name: str) -> FloatFormat:
    form = named_format(name)
    assert isinstance(form, FloatFormat)
    return form


SAME_ELSEWHERE = [
    ("float32", np.float32),
    ("float16", np.float16),
    ("bfloat16", ml_dtypes.bfloat16),
    ("fp8_e5m2", ml_dtypes.float8_e5m2),
    ("fp8_e4m3", ml_dtypes.float8_e4m3fn),
    ("fp8_e4m3_ieee", ml_dtypes.float8_e4m3),
    ("fp8_e3m4", ml_dtypes.float8_e3m4),
    ("fp8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
    ("fp8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    ("fp8_e4m3b11fnuz", ml_dtypes.float8_e4m3b11fnuz),
    ("fp6_e3m2", ml_dtypes.float6_e3m2fn),
    ("fp6_e2m3", ml_dtypes.float6_e2m3fn),
    ("fp4_e2m1", ml_dtypes.float4_e2m1fn),
]


@pytest.mark.parametrize(("name", "dtype"), SAME_ELSEWHERE)
def test_a_format_is_the_type_of_the_same_name_elsewhere(name: str, dtype: Any) -> None:
    ours, theirs = floating(name), finfo(dtype)
    assert (ours.bits, ours.mantissa_bits) == (theirs.bits, theirs.nmant)
    assert ours.largest == Fraction(float(theirs.max))
    assert ours.quantum == Fraction(float(theirs.smallest_subnormal))
    assert Fraction(2) ** ours.emin == Fraction(float(theirs.smallest_normal))


@pytest.mark.parametrize(("name", "dtype"), [x for x in SAME_ELSEWHERE if finfo(x[1]).bits <= 8])
def test_every_code_of_a_small_format_is_a_value(name: str, dtype: Any) -> None:
    form = floating(name)
    codes = np.arange(2**form.bits, dtype=np.uint8).view(dtype).astype(np.float64)
    steps = range(2**form.mantissa_bits)
    binades = [Fraction(2) ** e for e in range(form.emin, form.emax + 1)]
    normal = [binade + k * binade / len(steps) for binade in binades for k in steps]
    ours = {x for x in [k * form.quantum for k in steps] + normal if x <= form.largest}
    theirs = {Fraction(x) for x in codes[np.isfinite(codes)].tolist()}
    assert theirs == ours | {-x for x in ours}


@pytest.mark.parametrize(
    ("name", "bits", "emin", "emax", "largest"),
    [
        # OCP 8-bit specification 1.0, tables 1 and 2
        ("fp8_e5m2", 8, -14, 15, 57344),
        ("fp8_e4m3", 8, -6, 8, 448),
        # OCP MX specification 1.0, tables of the FP6 and FP4 elements
        ("fp6_e3m2", 6, -2, 4, 28),
        ("fp6_e2m3", 6, 0, 2, Fraction(15, 2)),
        ("fp4_e2m1", 4, 0, 2, 6),
        # Ampere whitepaper (2020): 8 exponent and 10 mantissa bits
        ("tf32", 19, -126, 127, 2**128 - 2**117),
        # Wang et al. (2018): (1,5,2) and (1,6,9)
        ("e5m2", 8, -14, 15, 57344),
        ("e6m9", 16, -30, 31, 2**32 - 2**22),
        # "FP22": SageAttention issue 287, 1-8-13
        ("e8m13", 22, -126, 127, 2**128 - 2**114),
    ],
)
def test_formats_have_the_published_bits_and_range(
    name: str, bits: int, emin: int, emax: int, largest: Fraction | int
) -> None:
    form = floating(name)
    assert (form.bits, form.emin, form.emax, form.largest) == (bits, emin, emax, largest)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_integers_are_twos_complement(bits: int) -> None:
    form = named_format(f"int{bits}")
    assert isinstance(form, FixedFormat)
    assert form.range == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def test_names_are_those_of_the_values() -> None:
    assert {name: form.name for name, form in FORMATS.items()} == {name: name for name in FORMATS}
    assert named_accumulator("wang_2018") is ACCUMULATORS["wang_2018"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no format is named 'fp8e4m3'; .* 'fp8_e4m3'"):
        named_format("fp8e4m3")
    with pytest.raises(ValueError, match=r"no accumulator is named 'hoper'; .* 'hopper_tf32'"):
        named_accumulator("hoper")


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_small_integers_are_summed_exactly_by_all(name: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(-3, 4, (2, 21)).astype(np.float64)
    b = rng.integers(-3, 4, (21, 2)).astype(np.float64)
    assert np.array_equal(matmul_exact(a, b, named_accumulator(name)), a @ b)


@pytest.mark.parametrize(
    "name", [n for n, acc in ACCUMULATORS.items() if not isinstance(acc.format, FixedFormat)]
)
def test_fractions_are_summed_within_the_error_of_the_roundings(name: str) -> None:
    """A term loses less than its last kept bit at the alignment, and as much at the rounding."""
    accumulator = named_accumulator(name)
    block = isinstance(accumulator.format, BlockFormat)
    form = (accumulator.outer_accumulator if block else accumulator).format
    assert isinstance(form, FloatFormat)
    kept = accumulator.order.kept_bits if isinstance(accumulator.order, Fused) else 40
    bits, n = min(kept, form.mantissa_bits), 70
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-64, 65, shape) / 64 for shape in ((2, n), (n, 2)))
    error = np.abs(matmul_exact(a, b, accumulator) - a @ b)
    assert np.all(error <= 2 * n * 2.0**-bits * (np.abs(a) @ np.abs(b)))


# the table of MMA-Sim (arXiv 2511.10909) and of Khattak and Mikaitis (arXiv 2512.07004):
# products in a step, bits below the largest exponent
TENSOR_CORES = [
    ("volta_float16", 4, 23),
    ("turing_float16", 8, 24),
    ("ampere_float16", 8, 24),
    ("ampere_bfloat16", 8, 24),
    ("ampere_tf32", 4, 24),
    ("ada_float16", 8, 24),
    ("ada_bfloat16", 8, 24),
    ("ada_tf32", 4, 24),
    ("ada_fp8_e5m2", 16, 13),
    ("ada_fp8_e4m3", 16, 13),
    ("hopper_float16", 16, 25),
    ("hopper_bfloat16", 16, 25),
    ("hopper_tf32", 8, 25),
    ("hopper_fp8_e5m2", 32, 13),
    ("hopper_fp8_e4m3", 32, 13),
    ("blackwell_float16", 16, 25),
    ("blackwell_bfloat16", 16, 25),
    ("blackwell_tf32", 8, 25),
    ("blackwell_fp8_e5m2", 32, 25),
    ("blackwell_fp8_e4m3", 32, 25),
    ("blackwell_fp6_e3m2", 32, 25),
    ("blackwell_fp6_e2m3", 32, 25),
    ("blackwell_fp4_e2m1", 32, 25),
    ("cdna3_float16", 8, 24),
    ("cdna3_bfloat16", 8, 24),
    ("cdna3_xf32", 4, 24),
]
NARROW_RESULTS = [
    (f"{name}_to_float16", terms, kept)
    for name, terms, kept in TENSOR_CORES
    if not name.startswith("cdna3") and not name.endswith(("_bfloat16", "_tf32"))
]
each_unit = pytest.mark.parametrize(("name", "terms", "kept"), [*TENSOR_CORES, *NARROW_RESULTS])


@each_unit
def test_a_step_keeps_so_many_bits_below_its_largest_product(
    name: str, terms: int, kept: int
) -> None:
    def survivor(bits_below: int) -> float:
        """Beside 2^16 − 2^16, all three as products of two operands."""
        low = 16 - bits_below
        return dot(name, [256, -256, 2.0 ** (low // 2)], [256, 256, 2.0 ** (low - low // 2)])

    assert survivor(kept) == 2.0 ** (16 - kept)
    assert survivor(kept + 1) == 0


@each_unit
def test_a_step_takes_so_many_products(name: str, terms: int, kept: int) -> None:
    def survives(place: int) -> bool:
        """One that is cut beside large products, but not in the step after them."""
        a = [256.0, -256.0] + [0.0] * (place - 2) + [2.0**-7]
        b = [256.0, 256.0] + [0.0] * (place - 2) + [2.0**-6]
        return dot(name, a, b) != 0

    assert [survives(place) for place in (terms - 1, terms)] == [False, True]


@pytest.mark.parametrize("sign", [1, -1])
def test_float32_results_are_cut_and_float16_results_rounded_to_nearest_even(sign: int) -> None:
    below = [sign, sign * 2.0**-24, sign * 2.0**-25]  # kept to 25 bits; beyond a midpoint
    assert total("hopper_float16", below) == sign
    assert total("cdna3_bfloat16", below[:1] + [sign * 2.0**-23] * 3) == sign * (1 + 3 * 2.0**-23)
    half = "hopper_float16_to_float16"
    assert total(half, [sign, sign * 2.0**-11]) == sign  # a tie
    assert total(half, [sign, sign * 2.0**-11, sign * 2.0**-22]) == sign * (1 + 2.0**-10)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_fp8_sums_of_hopper_are_22_bits_wide(sign: int) -> None:
    odd = [4 * sign, 4 * sign, sign * 2.0**-11]  # kept beside 4, half a step of the sum 8
    assert total("hopper_fp8_e4m3", odd) == 8 * sign
    assert total("blackwell_fp8_e4m3", odd) == sign * (8 + 2.0**-11)


@pytest.mark.parametrize("operands", ["fp8_e4m3", "fp8_e5m2"])
def test_promotion_lets_ones_through_that_fp22_loses(operands: str) -> None:
    ones = [1.0] * 256
    assert total(f"hopper_{operands}", ones, start=2.0**14) == 2.0**14
    promoted = f"hopper_{operands}_promoted"
    assert total(promoted, ones, start=2.0**14) == 2.0**14 + 256
    # DeepSeek-V3, section 3.3.2: promotion every 128 products
    late = [total(promoted, [2.0**14] + [0.0] * zeros + [1.0]) for zeros in (126, 127)]
    assert late == [2.0**14, 2.0**14 + 1]


def test_subnormal_operands_count_with_the_lowest_exponent() -> None:
    # 2^-24 times 2^15 counts with −14 + 15 = 1, not −9: what lies below 2^(1 − 23) is cut
    operands = ([2.0**-24, 1.0, -1.0], [2.0**15, 2.0**-23, 2.0**-24])
    for a, b in (operands, operands[::-1]):
        assert dot("volta_float16", a, b) == 2.0**-9
        assert dot("hopper_float16", a, b) == 2.0**-9 + 2.0**-23 - 2.0**-24


def test_cdna3_rounds_the_running_sum_down() -> None:
    assert total("cdna3_float16", [1.0], start=2.0**-40) == 1
    assert total("cdna3_float16", [1.0], start=-(2.0**-40)) == 1 - 2.0**-24
    assert total("hopper_float16", [1.0], start=-(2.0**-40)) == 1


def test_cdna2_adds_four_or_two_products_before_the_running_sum() -> None:
    # an odd sum at 2^24 is a tie, and goes back to even
    assert total("cdna2_float16", [1.0, 0.0, 1.0, 0.0], start=2.0**24) == 2**24 + 2
    assert total("cdna2_bfloat16", [1.0, 0.0, 1.0, 0.0], start=2.0**24) == 2**24 + 2
    assert total("cdna2_bfloat16_pairs", [1.0, 0.0, 1.0, 0.0], start=2.0**24) == 2**24
    assert total("cdna2_bfloat16_pairs", [1.0, 1.0, 0.0, 0.0], start=2.0**24) == 2**24 + 2


def test_cdna2_takes_subnormal_results_for_zero() -> None:
    small = ([2.0**-64, 2.0**-63], [2.0**-63, 2.0**-63])
    assert dot("float32", *small) == 2.0**-127 + 2.0**-126
    assert dot("cdna2_bfloat16", *small) == 2.0**-126


def test_the_sums_of_wang_stop_where_half_a_step_exceeds_every_term() -> None:
    # Wang et al. (2018), figure 3: terms uniform, of mean 1 and deviation 1, stop at 4096
    uniform = np.random.default_rng(2).uniform(1 - 3**0.5, 1 + 3**0.5, (1, 300))
    plain = named_accumulator("wang_2018").outer_accumulator
    for terms, start, end in ((uniform, 4080.0, 4096.0), (np.ones((1, 100)), 1000.0, 1024.0)):
        stopped = matmul_exact(terms, np.ones_like(terms).T, plain, start=np.array([[start]]))
        assert stopped == end
    # in chunks of 64, ones beside 1024 are lost and two in a chunk of their own are not
    late = [total("wang_2018", [1024.0] + [0.0] * zeros + [1.0, 1.0]) for zeros in (61, 63)]
    assert late == [1024.0, 1026.0]


def test_integers_saturate_or_wrap() -> None:
    assert dot("int32", [2.0**15, -1.0], [2.0**16, 1.0]) == 2**31 - 2  # cut before −1 is added
    assert dot("int32_wrap", [2.0**15, -1.0], [2.0**16, 1.0]) == 2**31 - 1  # and back


def test_blocks_of_mxint8_are_exact_and_their_sums_are_float32() -> None:
    block = [1.0, 2.0**-6, *[0.0] * 30]  # 64/64 and 1/64
    assert dot("mxint8", block, block) == 1 + 2.0**-12
    assert dot("mxint8", block + block, block + block, start=2.0**12) == 2**12 + 2.0
    with pytest.raises(ValueError, match=r"must be a multiple of 2\^-6"):
        dot("mxint8", [1.0, 2.0**-7], [1.0, 1.0])


def masked(x: float, bias: int) -> float:
    """As the kernel of Blumenfeld et al. (2024) does it: clamp, flush, mask a float32's bits."""
    most, least = 2.0 ** (2**4 - bias - 1) * (2 - 2.0**-7), 2.0**-bias
    clamped = np.float32(min(max(x, -most), most))
    if abs(clamped) < least:
        return 0.0
    word = clamped.view(np.uint32) & np.uint32(2**32 - 2 ** (23 - 7))
    return float(word.view(np.float32))


@pytest.mark.parametrize("scale", [2.0**-6, 0.25, 8.0])
def test_blumenfeld_2024_is_the_masked_sum_of_its_authors(scale: float) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 50)).astype(np.float32) * np.float32(scale)
    total = 0.0
    for first in range(0, 50, 16):
        inner = 0.0
        for x, y in zip(a[first : first + 16], b[first : first + 16], strict=True):
            inner = masked(float(np.float32(inner) + np.float32(masked(float(x) * y, 12))), 10)
        total = masked(float(np.float32(total) + np.float32(inner)), 10)
    assert dot("blumenfeld_2024", a.tolist(), b.tolist()) == total


def test_short_names_and_hyphens() -> None:
    assert named_accumulator("hopper-fp8-promoted") is ACCUMULATORS["hopper_fp8_e4m3_promoted"]
    assert operands_of("ada-fp8") == "fp8_e4m3"
    assert operands_of("float32") is None
