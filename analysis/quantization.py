"""Arrays rounded to a format, element by element, at the speed of memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.draws import Stream, stream_of
from analysis.elementwise import Chance, Grid, round_elements, round_elements_by_chance
from analysis.formats import Accumulator, FixedFormat, FloatFormat, Overflow, Rounding
from analysis.grids import FLOAT32, FLOAT64, Format, grid_of, holds, suits_float32
from analysis.number_formats import check_kind
from analysis.threads import available_threads

Array = npt.NDArray[Any]
Rng = Stream | np.random.Generator | int

#: bytes of ``x`` for which a thread more is worth its start
_WORTH = 1 << 22
#: elements that are taken at once where something must be put beside them
_BLOCK = 1 << 16


class _Way(NamedTuple):
    """What a format and a rounding come to, for elements of one type."""

    real: type[np.floating]  #: the result's type
    grid: Grid
    chance: Chance | None  #: of a stochastic rounding


@dataclass(frozen=True, slots=True)
class _Job:
    """What is done to every element."""

    number_format: Format
    way: _Way
    stream: Stream | None

    def __call__(self, x: Array, out: Array, first: int) -> None:
        """Round a contiguous piece, which begins with element number ``first``."""
        # here, because matmul, in the same package, rounds arrays
        from analysis.emulation.environment import usual_arithmetic

        with usual_arithmetic():
            greatest = self._round(x, out, first)
        if isinstance(self.number_format, FixedFormat):
            self._check(self.number_format, greatest)

    def _round(self, x: Array, out: Array, first: int) -> int:
        """... and say what the greatest word of a magnitude is."""
        grid, chance = self.way.grid, self.way.chance
        if self.stream is None or chance is None:
            return int(round_elements(x, out, grid))
        from analysis.emulation.array_draws import array_bits  # here likewise

        greatest = 0
        for at in range(0, x.size, _BLOCK):
            block, target = x[at : at + _BLOCK], out[at : at + _BLOCK]
            bits = array_bits(self.stream, first + at, block.size, chance.bits, bool(chance.odd))
            greatest = max(greatest, round_elements_by_chance(block, target, grid, bits, chance))
        return greatest

    def _check(self, fixed: FixedFormat, greatest: int) -> None:
        """Refuse what fixed point has no value for; ``greatest`` is the word of a magnitude."""
        infinity = self.way.grid.infinity
        if greatest > infinity:
            raise ValueError(f"quantize: elements must be numbers for {fixed.name}, got NaN")
        if greatest == infinity and fixed.overflow is Overflow.WRAP:
            raise ValueError(
                f"quantize: elements must be finite for {fixed.name}, which wraps, got an infinity"
            )


def quantize(
    x: npt.ArrayLike,
    number_format: FloatFormat | FixedFormat,
    rounding: Rounding = Rounding.NEAREST_EVEN,
    *,
    rng: Rng | None = None,
    random_bits: int | None = None,
    threads: int | None = None,
    out: Array | None = None,
) -> Array:
    """``x``, of any shape and layout, rounded element by element; the same shape.

    Every element becomes what :func:`analysis.rounding.round_exact` says. An infinity stays if the
    format overflows to infinity and saturates otherwise, NaN stays NaN, and a zero has the sign of
    the element it comes from. A float32 array gives float32 if that holds every value of the
    format; all else is taken as float64 and gives float64.

    Stochastic rounding draws from ``rng``, a seed, a generator, or a :class:`Stream` that says
    where in a larger array this one begins: element number i of it, in C order, takes the draw of
    level ``ARRAY`` at step i. ``random_bits`` is as in :class:`Accumulator`. No result depends on
    ``threads``, by default all cores where the array is large enough, or on the machine.

    ``out`` takes the result; it may be ``x`` itself.

    >>> from analysis.formats import float_format
    >>> quantize([1.125, 1e9], float_format(5, 2)).tolist()
    [1.0, 57344.0]

    Raises:
        TypeError: ``x`` does not convert to float64 safely, or ``out`` has not the result's type.
        ValueError: ``out`` has another shape; stochastic rounding has
            no ``rng``; an element of fixed point is NaN, or infinite where it wraps (``out`` is
            then overwritten in part).
    """
    check_kind("quantize", "rounding", rounding, Rounding)
    values = _floats(x)
    way = _way(number_format, rounding, values.dtype == np.float32, random_bits)
    if out is None:
        out = np.empty_like(values, dtype=way.real)
    _check_out(out, values.shape, np.dtype(way.real))
    _run(values, out, _Job(number_format, way, _stream(rounding, rng)), threads)
    return out


def _floats(x: npt.ArrayLike) -> Array:
    values = np.asarray(x)
    if values.dtype in (np.float32, np.float64):
        return values
    if not np.can_cast(values.dtype, np.float64):
        raise TypeError(f"quantize: elements must convert to float64 safely, got {values.dtype}")
    return values.astype(np.float64)


@lru_cache(maxsize=256)
def _way(
    number_format: Format, rounding: Rounding, from_float32: bool, random_bits: int | None
) -> _Way:
    if not isinstance(number_format, FloatFormat | FixedFormat):
        raise TypeError(f"quantize: format must be of floats or fixed point, got {number_format}")
    narrow = from_float32 and holds(FLOAT32, number_format)
    in_float32 = narrow and suits_float32(number_format, rounding)
    grid = grid_of(number_format, rounding, FLOAT32 if in_float32 else FLOAT64)
    real = np.float32 if narrow else np.float64
    bits = Accumulator(number_format, rounding, random_bits=random_bits).cut_bits
    if rounding is not Rounding.STOCHASTIC:
        return _Way(real, grid, None)
    gap = 0
    if isinstance(number_format, FloatFormat):
        gap = FLOAT64.fraction - number_format.mantissa_bits - bits
    return _Way(real, grid, Chance(bits, int(random_bits is None), gap))


def _stream(rounding: Rounding, rng: Rng | None) -> Stream | None:
    if rounding is not Rounding.STOCHASTIC:
        return None
    if rng is None:
        raise ValueError("quantize: stochastic rounding needs rng, a seed or a Stream, got None")
    return stream_of(rng)


def _check_out(out: Array, shape: tuple[int, ...], real: np.dtype[Any]) -> None:
    if out.dtype != real:
        raise TypeError(f"quantize: out must be {real}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"quantize: out must have shape {shape}, got {out.shape}")


def _run(x: Array, out: Array, job: _Job, threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise ValueError(f"quantize: threads must be at least 1, got {threads}")
    pair = _flat(x, out, in_order=job.stream is not None)
    if pair is None:
        _run_scattered(x, out, job)
    else:
        _run_flat(*pair, job, threads or _threads_worth(x.nbytes))


def _threads_worth(size: int) -> int:
    worth = size // _WORTH
    return min(available_threads(), worth) if worth > 1 else 1


def _flat(x: Array, out: Array, in_order: bool) -> tuple[Array, Array] | None:
    """Both as one dimension without a copy, in C order or, if that is enough, any common one."""
    axes = range(x.ndim) if in_order else sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    pair = x.transpose(axes), out.transpose(axes)
    if np.may_share_memory(x, out) or not all(a.flags.carray for a in pair):
        return None
    return pair[0].reshape(-1), pair[1].reshape(-1)


def _run_flat(x: Array, out: Array, job: _Job, threads: int) -> None:
    edges = [x.size * cut // threads for cut in range(threads + 1)]

    def run(piece: tuple[int, int]) -> None:
        job(x[slice(*piece)], out[slice(*piece)], piece[0])

    if threads == 1:
        run((0, x.size))
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, pairwise(edges)))


def _run_scattered(x: Array, out: Array, job: _Job) -> None:
    """Through blocks in C order; a block is copied, because it may be the result's own memory."""
    rules = ["contig", "aligned", "overlap_assume_elementwise"]
    with np.nditer(  # type: ignore[call-overload]  # NumPy's stubs misspell "contig"
        [x, out],
        flags=["external_loop", "buffered", "zerosize_ok", "copy_if_overlap"],
        op_flags=[["readonly", *rules], ["writeonly", *rules]],
        order="C",
        buffersize=_BLOCK,
    ) as blocks:
        first = 0
        for block, target in blocks:
            job(block.copy(), target, first)
            first += block.size
