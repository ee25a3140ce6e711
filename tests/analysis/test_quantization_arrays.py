"""``quantize`` on every shape, layout and number of threads, and what it refuses."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import Stream
from analysis.formats import (
    BlockFormat,
    FixedFormat,
    FloatFormat,
    LowestCodes,
    Overflow,
    Rounding,
    TopCodes,
    float_format,
)
from analysis.quantization import quantize

Array = npt.NDArray[Any]

STOCHASTIC = Rounding.STOCHASTIC
E5M2 = float_format(5, 2)
INT40 = FixedFormat("int40", 40, 8)  # wider than float32
WRAPPING = FixedFormat("int8", 8, overflow=Overflow.WRAP)


def sample(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def layouts() -> dict[str, Array]:
    """The same numbers' neighbours in memory, as many ways as NumPy has."""
    x = sample(6, 8, 10)
    read_only = x.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"_" + x.tobytes(), dtype=np.float32, offset=1).reshape(x.shape)
    return {
        "transposed": x.T,
        "axes turned": x.transpose(1, 0, 2),
        "every other": x[:, ::2],
        "backwards": x[:, :, ::-1],
        "broadcast": np.broadcast_to(x[0], (5, 8, 10)),
        "read-only": read_only,
        "unaligned": unaligned,
        "a single one": x[0, 0, 0],
        "none": x[:, :0],
    }


@pytest.mark.parametrize("number_format", [E5M2, INT40], ids=lambda form: form.name)
@pytest.mark.parametrize("rounding", [Rounding.NEAREST_EVEN, STOCHASTIC])
@pytest.mark.parametrize("name", layouts())
def test_layout_changes_nothing(
    name: str, rounding: Rounding, number_format: FloatFormat | FixedFormat
) -> None:
    x = layouts()[name]
    y = quantize(x, number_format, rounding, rng=5)
    plain = quantize(np.array(x, order="C"), number_format, rounding, rng=5)
    assert y.shape == plain.shape == x.shape
    np.testing.assert_array_equal(y, plain)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("rounding", [Rounding.UP, STOCHASTIC])
def test_threads_change_nothing(threads: int, rounding: Rounding) -> None:
    x = sample(200_001)
    alone = quantize(x, E5M2, rounding, rng=5, threads=1)
    np.testing.assert_array_equal(quantize(x, E5M2, rounding, rng=5, threads=threads), alone)


def test_large_arrays_use_threads_without_being_told() -> None:
    x = sample(3 << 20)
    np.testing.assert_array_equal(quantize(x, E5M2), quantize(x, E5M2, threads=1))


@pytest.mark.parametrize("random_bits", [None, 7, 20])
def test_a_piece_draws_what_the_whole_does(random_bits: int | None) -> None:
    x = sample(150_000)
    whole = quantize(x, E5M2, STOCHASTIC, rng=9, random_bits=random_bits)
    for first, last in ((0, 70_001), (70_001, 150_000)):
        stream = Stream(9, step=first)
        piece = quantize(x[first:last], E5M2, STOCHASTIC, rng=stream, random_bits=random_bits)
        np.testing.assert_array_equal(piece, whole[first:last])


def test_a_generator_gives_a_new_seed_each_time() -> None:
    rng, again = np.random.default_rng(1), np.random.default_rng(1)
    first, second = (quantize(sample(1000), E5M2, STOCHASTIC, rng=rng) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(quantize(sample(1000), E5M2, STOCHASTIC, rng=again), first)


@pytest.mark.parametrize("rounding", [Rounding.TOWARD_ZERO, STOCHASTIC])
def test_the_result_may_take_the_place_of_the_elements(rounding: Rounding) -> None:
    x = sample(300, 500)
    expected = quantize(x, E5M2, rounding, rng=2)
    for view in (x.copy(), x.T.copy().T, np.repeat(x, 2, axis=1)[:, ::2]):
        assert quantize(view, E5M2, rounding, rng=2, out=view) is view
        np.testing.assert_array_equal(view, expected)


def test_the_result_may_overlap_the_elements() -> None:
    memory = sample(200_000)
    expected = quantize(memory[:-7], E5M2)
    quantize(memory[:-7], E5M2, out=memory[7:])
    np.testing.assert_array_equal(memory[7:], expected)


def test_the_elements_stay_as_they_are() -> None:
    x = sample(100)
    kept = x.copy()
    y = quantize(x, E5M2, out=np.empty_like(x))
    np.testing.assert_array_equal(x, kept)
    assert not np.array_equal(x, y)


ONE = np.ones(1, dtype=np.float32)


@pytest.mark.parametrize(
    ("x", "number_format", "dtype"),
    [
        (ONE, E5M2, np.float32),
        (ONE, float_format(8, 23), np.float32),
        (ONE, FixedFormat("int25", 25), np.float32),
        (ONE, FixedFormat("int26", 26), np.float64),
        (ONE, float_format(8, 24), np.float64),
        (ONE, float_format(9, 2), np.float64),
        (ONE, FloatFormat("numbers", 8, 2, top=TopCodes.NUMBERS), np.float64),
        (ONE, FloatFormat("low", 8, 2, exponent_bias=149), np.float64),
        (ONE.astype(np.float16), E5M2, np.float64),
        (ONE.astype(np.float64), E5M2, np.float64),
        (ONE.astype(">f4"), E5M2, np.float64),
        (1.1, E5M2, np.float64),
        ([3, 5], E5M2, np.float64),
    ],
)
def test_float32_stays_where_it_holds_every_value(x: Any, number_format: Any, dtype: Any) -> None:
    assert quantize(x, number_format).dtype == dtype


@contextmanager
def foreign_arithmetic() -> Iterator[None]:
    """Subnormals are zeros, as ``torch.set_flush_denormal`` has it, and rounding is downwards."""
    library = ctypes.CDLL("libm.so.6")
    kept = ctypes.create_string_buffer(32)  # 28 bytes of the x87, then MXCSR
    library.fegetenv(kept)
    control = int.from_bytes(kept.raw[28:], "little") | 0x8040 | 0x2000
    library.fesetenv(kept.raw[:28] + control.to_bytes(4, "little"))
    try:
        yield
    finally:
        library.fesetenv(kept)


@pytest.mark.skipif(
    (platform.machine(), platform.system()) != ("x86_64", "Linux"), reason="sets MXCSR by glibc"
)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(
    "number_format",
    [
        E5M2,
        float_format(8, 7),
        float_format(8, 0),
        float_format(8, 23),
        float_format(10, 30),
        FloatFormat("low_e8m3", 8, 3, exponent_bias=135),
        FloatFormat("low_e4m3", 4, 3, exponent_bias=120),
        FixedFormat("q3.4", 8, 4),
        FixedFormat("tiny", 12, 140),
        FixedFormat("tiny", 12, 140, overflow=Overflow.WRAP),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_thread_s_arithmetic_changes_nothing(
    number_format: FloatFormat | FixedFormat, rounding: Rounding, dtype: Any
) -> None:
    scales = np.exp2(np.linspace(np.log2(np.finfo(dtype).smallest_subnormal), 3, 5000))
    x = (sample(5000, dtype=np.float64) * scales).astype(dtype)
    x[:2] = np.finfo(dtype).smallest_subnormal * np.array([1, -1])
    plain = quantize(x, number_format, rounding, rng=4)
    with foreign_arithmetic():
        assert not np.any((x[:1] * dtype(1)).view(np.uint8))  # it does flush
        again = quantize(x, number_format, rounding, rng=4)
        assert dtype(1) - dtype(2.0**-60) < 1  # and was given back
    np.testing.assert_array_equal(again.view(np.uint8), plain.view(np.uint8))


def test_what_has_no_meaning_is_refused() -> None:
    x = sample(4)
    with pytest.raises(ValueError, match="needs rng, a seed or a Stream, got None"):
        quantize(x, E5M2, STOCHASTIC)
    with pytest.raises(ValueError, match="random bits need stochastic rounding"):
        quantize(x, E5M2, random_bits=4)
    with pytest.raises(ValueError, match=r"random bits must be in 1\.\.32, got 33"):
        quantize(x, E5M2, STOCHASTIC, rng=1, random_bits=33)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        quantize(x, E5M2, threads=0)
    with pytest.raises(TypeError, match="floats or fixed point, got BlockFormat"):
        quantize(x, BlockFormat("mx", 20, 3, 3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="convert to float64 safely, got complex128"):
        quantize([1j], E5M2)
    with pytest.raises(TypeError, match="out must be float32, got float64"):
        quantize(x, E5M2, out=np.empty(4))
    with pytest.raises(ValueError, match=r"out must have shape \(4,\), got \(5,\)"):
        quantize(x, E5M2, out=np.empty(5, dtype=np.float32))


@pytest.mark.parametrize("rounding", [Rounding.NEAREST_EVEN, STOCHASTIC])
def test_fixed_point_has_no_nan_and_wraps_no_infinity(rounding: Rounding) -> None:
    for number_format in (FixedFormat("int8", 8), WRAPPING, INT40):
        with pytest.raises(ValueError, match=r"elements must be numbers for int.*, got NaN"):
            quantize([1.0, np.nan, 2.0], number_format, rounding, rng=1)
    with pytest.raises(ValueError, match="finite for int8, which wraps, got an infinity"):
        quantize([1.0, -np.inf], WRAPPING, rounding, rng=1)
    assert quantize([np.inf, -np.inf], INT40, rounding, rng=1).tolist() == [
        float(INT40.range[1]),
        float(INT40.range[0]),
    ]


def test_zeros_keep_their_sign() -> None:
    x = [0.0, -0.0, 1e-9, -1e-9, 256.0, -256.0]
    for number_format in (FloatFormat("flushing", 4, 3, lowest=LowestCodes.ZERO), WRAPPING):
        y = quantize(x, number_format)[: 6 if number_format is WRAPPING else 4]
        assert not np.any(y)
        assert np.signbit(y).tolist() == np.signbit(x[: len(y)]).tolist()


def test_nan_stays_nan() -> None:
    for number_format in (E5M2, float_format(8, 7), float_format(10, 40)):
        for dtype in (np.float32, np.float64):
            assert np.isnan(quantize(np.array([np.nan, -np.nan], dtype), number_format)).all()
