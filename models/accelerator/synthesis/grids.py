"""What is synthesised: every block at the parameters that its laws are fitted to."""

from collections.abc import Iterable, Iterator
from itertools import product

from models.accelerator.synthesis.flow import Effort
from models.accelerator.synthesis.points import Point, grid

NEAREST, TOWARD_ZERO, STOCHASTIC = range(3)  # the parameter ROUNDING of the RTL
MANTISSAS = (2, 3, 4, 5, 7, 8, 10, 12, 14, 16, 19, 23)


def fp_add() -> Iterator[Point]:
    """Adders: exponents 4-8, mantissas 2-23, three roundings, with and without subnormals."""
    yield from grid("fp_add", E=range(4, 9), M=MANTISSAS, SUBNORMALS=[1], ROUNDING=[NEAREST])
    yield from grid("fp_add", E=[5, 8], M=MANTISSAS, SUBNORMALS=[0], ROUNDING=[NEAREST])
    yield from grid("fp_add", E=[5, 8], M=MANTISSAS, SUBNORMALS=[1], ROUNDING=[TOWARD_ZERO])
    yield from grid(
        "fp_add", E=[6], M=MANTISSAS[1::2], SUBNORMALS=[1], ROUNDING=[STOCHASTIC], R=[4, 8, 13]
    )


FLOATS = ((2, 1), (2, 3), (3, 2), (4, 3), (5, 2), (8, 7), (5, 10))  # operands: (E, M)
TRAINING = ((4, 3), (5, 2), (8, 7))


def fp_product() -> Iterator[Point]:
    """Exact products of two numbers of one format, normalised."""
    for e, m in sorted({*FLOATS, *product((4, 5, 8), MANTISSAS[::2])}):
        yield from grid("fp_product", **_operands((e, m), 1))
    for e, m in product((4, 6, 8), MANTISSAS[::2]):
        yield from grid("fp_product", **_operands((e, m), 0))


def fp_mul() -> Iterator[Point]:
    """Products rounded to their operands' own format."""
    for (e, m), subnormals in product(product((4, 5, 8), MANTISSAS[::2]), (0, 1)):
        yield from _rounded_product((e, m), subnormals, NEAREST)
    for e, m in product((5, 8), MANTISSAS[1::2]):
        yield from _rounded_product((e, m), 1, TOWARD_ZERO)
        yield from _rounded_product((e, m), 1, STOCHASTIC, R=[4])
        yield from _rounded_product((e, m), 1, STOCHASTIC, R=[8])


def _rounded_product(
    own: tuple[int, int], subnormals: int, rounding: int, **random: list[int]
) -> Iterator[Point]:
    return grid(
        "fp_mul", **_operands(own, subnormals), **_result(own, own, subnormals, rounding), **random
    )


def fp_mac() -> Iterator[Point]:
    """MACs of seven operand formats: exact product, one rounding to the accumulator's format."""
    for own, m in product(FLOATS, (4, 6, 8, 10, 13, 16, 23)):
        yield from _mac(own, (8, m), 1, NEAREST)
    for own, e, m in product(TRAINING[:2], (5, 6), (4, 7, 10, 14)):
        yield from _mac(own, (e, m), 1, NEAREST)
    for own, m in product(TRAINING, (5, 9, 14, 23)):
        yield from _mac(own, (8, m), 1, TOWARD_ZERO)
        yield from _mac(own, (8, m), 0, NEAREST)
    for own, m, r in product(TRAINING[:2], (5, 9, 12), (4, 8)):
        yield from _mac(own, (8, m), 1, STOCHASTIC, R=[r])


def _mac(
    own: tuple[int, int],
    accumulator: tuple[int, int],
    subnormals: int,
    rounding: int,
    **random: list[int],
) -> Iterator[Point]:
    result = _result(own, accumulator, subnormals, rounding)
    return grid("fp_mac", **_operands(own, subnormals), **result, **random)


def _operands(own: tuple[int, int], subnormals: int) -> dict[str, list[int]]:
    """Both operands of one format."""
    e, m = own
    return {
        f"{name}{operand}": [value]
        for operand in "AB"
        for name, value in (("E", e), ("M", m), ("SUBNORMALS", subnormals))
    }


def _result(
    own: tuple[int, int], result: tuple[int, int], subnormals: int, rounding: int
) -> dict[str, list[int]]:
    """The format that a product of two ``own`` meets or becomes; every bias is 2^(e−1) − 1."""
    bias = 2 * bias_of(own[0]) - bias_of(result[0])
    e, m = result
    names = ("E", "M", "SUBNORMALS", "BIAS", "ROUNDING")
    return dict(zip(names, ([e], [m], [subnormals], [bias], [rounding]), strict=True))


def bias_of(exponent_bits: int) -> int:
    """The usual bias, ``2^(e−1) − 1``."""
    return (1 << (exponent_bits - 1)) - 1


def fp_mac_rounded() -> Iterator[Point]:
    """MACs whose product is first rounded to ``(1, e + 1, m_p)``."""
    for (e, m), m_p, m_acc in product(TRAINING, (2, 4, 7), (4, 7, 10, 16)):
        formats = _operands((e, m), 1) | _result((e, m), (8, m_acc), 1, NEAREST)
        rounded = {"EP": [e + 1], "MP": [m_p], "ROUNDINGP": [NEAREST]}
        biases = {
            "BIASP": [2 * bias_of(e) - bias_of(e + 1)],
            "BIAS": [bias_of(e + 1) - bias_of(8)],
        }
        yield from grid("fp_mac_rounded", **formats | rounded | biases)


def int_mac() -> Iterator[Point]:
    """Integer MACs of 3 to 16 bits into 8 to 48, saturating and wrapping."""
    for width, spare in product((3, 4, 6, 8, 12, 16), (2, 6, 10, 16)):
        for saturate in (0, 1):
            own = {"WA": [width], "WB": [width], "W": [2 * width + spare]}
            yield from grid("int_mac", **own, SATURATE=[saturate])


def int_dot() -> Iterator[Point]:
    """Integer dot products, wrapping, into 24 and 32 bits."""
    for width, lanes in product((2, 3, 4, 6, 8), (2, 4, 8, 16)):
        for accumulator in (24, 32):
            own = {"K": [lanes], "WA": [width], "WB": [width], "W": [accumulator]}
            yield from grid("int_dot", **own, SATURATE=[0])


def fp_dot() -> Iterator[Point]:
    """Fused dot products: windows of 8 to 25 bits, float32 and narrower results."""
    for own, lanes, kept in product(((2, 1), (4, 3), (5, 2)), (2, 4, 8), (8, 13, 18, 25)):
        formats = _operands(own, 1) | _result(own, (8, 23), 1, TOWARD_ZERO)
        yield from grid("fp_dot", K=[lanes], KEPT=[kept], **formats)
    for own, lanes, kept in product(((2, 1), (4, 3)), (4, 16), (10, 14)):
        formats = _operands(own, 1) | _result(own, (8, 10), 1, TOWARD_ZERO)
        yield from grid("fp_dot", K=[lanes], KEPT=[kept], **formats)


def chunked() -> Iterator[Point]:
    """Outer adders, and chunks summed per element or with one outer adder for four of them."""
    for m, outer in product((3, 4, 6, 8), (9, 12, 16, 23)):
        yield from grid("fp_add_to", **_outer("A", m, outer, "", 0))
    for own, m, outer, elements in product(TRAINING[:2], (4, 8), (9, 16, 23), (1, 4)):
        inner = _operands(own, 1) | _result(own, (8, m), 1, NEAREST)
        widened = _outer("", m, outer, "O", 0)
        yield from grid("fp_chunked_column", PES=[elements], **inner | widened)


def _outer(inner: str, m: int, outer: int, name: str, bias: int) -> dict[str, list[int]]:
    """Chunk sums of ``(8, m)`` that join sums of ``(8, outer)``, and the suffixes of both."""
    formats = ((inner, 8, m), (name, 8, outer))
    fields = {
        f"{field}{suffix}": [value]
        for suffix, e, fraction in formats
        for field, value in (("E", e), ("M", fraction), ("SUBNORMALS", 1))
    }
    return fields | {f"BIAS{name}": [bias], f"ROUNDING{name}": [NEAREST]}


def converters() -> Iterator[Point]:
    """Between floating and fixed point, and to a group's shared exponent."""
    for width, m in product((12, 16, 20, 24, 32), (3, 7, 10, 16)):
        yield from grid("fixed_to_fp", W=[width], E=[8], M=[m], BIAS=[bias_of(8)], ROUNDING=[0])
    for width, m in product((8, 12, 16, 24), (3, 7, 10, 16)):
        yield from grid(
            "fp_to_fixed", W=[width], FRACTION=[width // 2], E=[5], M=[m], BIAS=[bias_of(5)]
        )
    for numbers, m, fraction in product((4, 8, 16), (7, 10), (2, 4, 7)):
        yield from grid("bfp_convert", K=[numbers], E=[8], M=[m], FRACTION=[fraction])


def others() -> Iterator[Point]:
    """Logarithmic MACs, and the random bits of a stochastic rounding."""
    for i, q, p in product((2, 3), (2, 3, 4), (4, 6, 8)):
        yield from grid("lns_mac", I=[i], Q=[q], P=[p], W=[24])
    yield from grid("lfsr", STEPS=range(1, 17))


WIDTHS = range(8, 49, 2)


def parts() -> Iterator[Point]:
    """Leading-zero counters, barrel shifters over their whole width, and flip-flops."""
    for width in WIDTHS:
        yield from grid("leading_zeros", W=[width])
        yield from grid("register", W=[width])
        stages = (width - 1).bit_length()
        yield from grid("shift_left", W=[width], S=[stages])
        yield from grid("shift_right_sticky", W=[width], S=[stages])


def relaxed() -> tuple[Point, ...]:
    """Every point, small rather than fast."""
    return (
        *parts(),
        *fp_add(),
        *fp_product(),
        *fp_mul(),
        *int_mac(),
        *fp_mac(),
        *fp_mac_rounded(),
        *int_dot(),
        *fp_dot(),
        *chunked(),
        *converters(),
        *others(),
    )


def fast(points: Iterable[Point], step: int = 3) -> Iterator[Point]:
    """One point in ``step`` again, for speed: enough for the ratio of the two."""
    for point in tuple(points)[::step]:
        yield Point(point.block, point.parameters, Effort.FAST.name)


def points() -> tuple[Point, ...]:
    """All points, relaxed and fast."""
    return (*relaxed(), *fast(fp_add()), *fast(fp_mac(), 13))


def energy_points() -> tuple[Point, ...]:
    """MACs whose switching is simulated: a third of them integer, the others of all formats."""
    floats = [_mac(own, (8, m), 1, NEAREST) for own, m in product(FLOATS, (4, 8, 13, 23))]
    floats += [_mac(own, (8, m), 1, TOWARD_ZERO) for own, m in product(TRAINING, (5, 14))]
    floats += [_mac(own, (8, m), 1, STOCHASTIC, R=[8]) for own, m in product(TRAINING[:2], (5, 9))]
    integers = [p for p in int_mac() if p.values["SATURATE"] and _spare_bits(p) in (6, 16)]
    return (*(point for points in floats for point in points), *integers)


def _spare_bits(point: Point) -> int:
    """Bits of an integer accumulator beyond its products."""
    own = point.values
    return own["W"] - own["WA"] - own["WB"]
