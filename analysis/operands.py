"""The operands of an emulated GEMM: rounded to their format fast, and drawn at random.

K is drawn in tiles of fixed length, each from a random stream of its own: the k-th product of a
sample depends on the seed, k and the number of samples, and on nothing else.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from analysis.formats import FloatFormat
from analysis.rounding import quantize

Floats32 = npt.NDArray[np.float32]
Seed = int | Sequence[int]

TILE = 4096  #: products per random stream; part of what a seed means
_PANEL = 64  #: columns that the emulation computes at once
#: fraction bits up to which adding and subtracting 1.5·2^(E+23−m) rounds a float32 (E its binade)
_MAGIC_BITS = 21
_MAGIC_EXPONENT_BITS = 7  #: ... and exponent bits, so that neither overflows


def quantize_float32(x: Floats32, number_format: FloatFormat) -> Floats32:
    """``x`` rounded to nearest even: :func:`analysis.rounding.quantize`, in float32 and faster.

    Adding 1.5·2^(E+23−m), E the binade of x but at least emin, leaves m fraction bits; subtracting
    it is exact. Formats with more than 21 fraction or 7 exponent bits go through ``quantize``.
    Equal to it but for the sign of zero.

    >>> from analysis.formats import float_format
    >>> quantize_float32(np.array([1.125, 1e9], dtype=np.float32), float_format(5, 2)).tolist()
    [1.0, 57344.0]
    """
    m = number_format.mantissa_bits
    if m > _MAGIC_BITS or number_format.exponent_bits > _MAGIC_EXPONENT_BITS:
        return quantize(x, number_format).astype(np.float32)
    largest = np.float32(float(number_format.largest))
    values = np.clip(x, -largest, largest)
    shift = (values.view(np.int32) & np.int32(0x7F800000)).view(np.float32)
    np.maximum(shift, np.float32(2.0**number_format.emin), out=shift)
    shift *= np.float32(1.5 * 2.0 ** (23 - m))
    values += shift
    values -= shift
    return values


def grid_of(samples: int) -> tuple[int, int]:
    """(rows, columns) of the GEMM that gives at least that many samples: nearly square, even rows.

    >>> grid_of(2048), grid_of(1)
    ((32, 64), (2, 64))

    Raises:
        ValueError: fewer than one sample.
    """
    if samples < 1:
        raise ValueError(f"simulation: samples must be at least 1, got {samples}")
    columns = _PANEL * math.ceil(math.sqrt(samples) / _PANEL)
    return 2 * math.ceil(samples / (2 * columns)), columns


def operand_tiles(
    operands: FloatFormat, n: int, shape: tuple[int, int], seed: Seed, density: float = 1.0
) -> Iterator[tuple[Floats32, Floats32]]:
    """The random operands, tile by tile of K: (rows, k) and (k, columns), float32.

    A share 1 − ``density`` of the left ones is zero, as of activations behind a ReLU.
    """
    rows, columns = shape
    for tile in range(-(-n // TILE)):
        length = min(TILE, n - tile * TILE)
        drawn = _stream(seed, tile, 0).standard_normal((length, rows + columns), dtype=np.float32)
        values = quantize_float32(drawn, operands)
        if density < 1.0:
            kept = _stream(seed, tile, 1).random((length, rows), dtype=np.float32) < density
            values[:, :rows] *= kept
        yield np.ascontiguousarray(values[:, :rows].T), np.ascontiguousarray(values[:, rows:])


def _stream(seed: Seed, tile: int, use: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(tile, use))))
