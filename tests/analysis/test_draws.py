"""The generator of stochastic rounding: its vectors, and that it looks random where it is used.

``words`` below is a second implementation, on arrays of 64-bit words, so that millions of draws can
be looked at; the first test holds the two together. Every seed is fixed, and every limit is five
standard deviations: over the few thousand statistics here, chance passes one in a thousand times.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.draws import ARRAY, INNER, OUTER, Draw, Stream, draw, mix64, stream_of, word
from analysis.formats import Accumulator, Rounding, float_format
from analysis.rounding import round_exact

Words = npt.NDArray[np.uint64]
LIMIT = 5.0
SEEDS = [0, 1, 0x0123456789ABCDEF]
STOCHASTIC = Rounding.STOCHASTIC


def u64(x: Any) -> Words:
    return np.asarray(x, dtype=np.uint64)


GOLDEN = u64(0x9E3779B97F4A7C15)
LOW32 = u64(0xFFFFFFFF)


def finaliser64(x: Words) -> Words:
    """Stafford's variant 13, as in Java's SplittableRandom and xoshiro's splitmix64.c."""
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return x ^ (x >> u64(31))


def finaliser32(x: Words) -> Words:
    """Wellons' hash-prospector, issue 19: 16 21f0aaad 15 735a2d97 15."""
    x = (x ^ (x >> u64(16))) * u64(0x21F0AAAD) & LOW32
    x = (x ^ (x >> u64(15))) * u64(0x735A2D97) & LOW32
    return x ^ (x >> u64(15))


def words(seed: Any, level: int, row: Any, column: Any, counter: Any) -> Words:
    """32 bits of every place; the arguments are broadcast."""
    with np.errstate(over="ignore"):  # modulo 2^64 is meant
        base = finaliser64(u64(seed))
        row_side = finaliser64(base + u64(2 * level + 1) * GOLDEN)
        column_side = finaliser64(base + u64(2 * level + 2) * GOLDEN)
        turn = finaliser64(finaliser64(row_side + u64(row) * GOLDEN) + u64(counter) * GOLDEN)
        place = finaliser64(column_side + u64(column) * GOLDEN)
        return finaliser32((turn >> u64(32)) + (place >> u64(32)) & LOW32)


def test_words_are_those_of_the_second_implementation() -> None:
    places = np.random.default_rng(0).integers(0, 2**63, (400, 4), dtype=np.uint64)
    places >>= np.random.default_rng(1).integers(0, 63, (400, 4), dtype=np.uint64)  # all sizes
    for level in (INNER, OUTER, ARRAY):
        seed, row, column, counter = places.T
        ours = [word(s, level, r, c, k) for s, r, c, k in places.tolist()]
        assert np.array_equal(words(seed, level, row, column, counter), u64(ours))


def test_vectors() -> None:
    """Made by ``words``; they fix the generator for all versions to come."""
    assert [word(0, 0, 0, 0, 0), word(1, 1, 2, 3, 4)] == [0x6BA40C11, 0x940957BD]
    # SplitMix64 of seed 1234567: its first two outputs, as published on Rosetta Code
    steps = [(1234567 + k * int(GOLDEN)) % 2**64 for k in (1, 2)]
    assert [mix64(x) for x in steps] == [6457827717110365317, 3203168211198807973]


def test_short_draws_are_the_tops_of_half_words() -> None:
    stream = Stream(9, row=4, column=5)
    low, high = (word(9, OUTER, 4, 5, 3) >> shift & 0xFFFF for shift in (0, 16))
    for bits in (1, 7, 16):
        assert draw(stream, OUTER, 6, bits, odd=False) == Draw(bits, low >> (16 - bits))
        assert draw(stream, OUTER, 7, bits, odd=False) == Draw(bits, high >> (16 - bits))


def test_long_draws_are_the_tops_of_words_and_ideal_ones_odd() -> None:
    stream, whole_word = Stream(9, row=4, column=5), word(9, INNER, 4, 5, 7)
    for bits in (17, 32):
        assert draw(stream, INNER, 7, bits, odd=False) == Draw(bits, whole_word >> (32 - bits))
    for bits in (8, 29, 33):
        ideal = 2 * (whole_word >> (33 - bits)) + 1
        assert draw(stream, INNER, 7, bits, odd=True) == Draw(bits, ideal)
        assert ideal < 2**bits


def score(counts: npt.NDArray[np.intp]) -> float:
    """Chi-square against equal counts, as a number of its standard deviations."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / (2 * freedom) ** 0.5)


def grid(seed: int, level: int = INNER) -> Words:
    """2^18 words: of 64 rows, 64 columns, 64 counts."""
    row, column, counter = np.ogrid[:64, :64, :64]
    return words(seed, level, row, column, counter)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("level", [INNER, OUTER, ARRAY])
def test_every_byte_is_uniform(seed: int, level: int) -> None:
    sample = grid(seed, level).ravel()
    for shift in (0, 8, 16, 24):
        counts = np.bincount((sample >> u64(shift) & u64(0xFF)).astype(np.intp), minlength=256)
        assert abs(score(counts)) < LIMIT


def neighbours(seed: int) -> dict[str, tuple[Words, Words]]:
    """Pairs of words whose places differ by one step in one coordinate, or as named."""
    here = grid(seed)
    low, high = (half << u64(16) for half in (here & u64(0xFFFF), here >> u64(16)))
    above = np.triu_indices(64, 1)
    return {
        "row": (here[1:], here[:-1]),
        "column": (here[:, 1:], here[:, :-1]),
        "counter": (here[:, :, 1:], here[:, :, :-1]),
        "level": (here, grid(seed, OUTER)),
        "seed": (here, grid(seed + 1)),
        "row for column": (here[above], here.swapaxes(0, 1)[above]),
        # a word is a mix of one hash of the row plus one of the column: all four corners know both
        "corners": (here[1:, 1:] ^ here[1:, :-1] ^ here[:-1, 1:], here[:-1, :-1]),
        "even and odd step": (low, high),
        "odd and even step": (high[:, :, :-1], low[:, :, 1:]),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_are_independent(seed: int) -> None:
    """All 256 pairs of their leading four bits alike, and no correlation of their values."""
    for kind, sides in neighbours(seed).items():
        first, second = (side.ravel() for side in sides)
        cells = ((first >> u64(28)) * u64(16) + (second >> u64(28))).astype(np.intp)
        assert abs(score(np.bincount(cells, minlength=256))) < LIMIT, kind
        correlation = np.corrcoef(first.astype(float), second.astype(float))[0, 1]
        assert abs(correlation) * first.size**0.5 < LIMIT, kind


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("axis", [0, 1, 2], ids=["rows", "columns", "counts"])
def test_sums_of_draws_have_the_variance_of_independent_ones(axis: int, seed: int) -> None:
    sums = (grid(seed) / 2.0**32 - 0.5).sum(axis=axis).ravel()
    ratio = sums.var() / (64 / 12)  # 64 uniform numbers; the sum is close to Gaussian
    assert abs(ratio - 1) * (sums.size / 2) ** 0.5 < LIMIT


@pytest.mark.parametrize("place", ["seed", "row", "column", "counter"])
def test_each_bit_of_a_place_flips_each_bit_of_a_word_half_the_time(place: str) -> None:
    samples = 4096
    draws = np.random.default_rng(2).integers(0, 2**64, (4, samples), dtype=np.uint64)
    at = dict(zip(("seed", "row", "column", "counter"), draws, strict=True))
    before = words(level=INNER, **at)
    for bit in range(64):
        flipped = before ^ words(level=INNER, **{**at, place: at[place] ^ u64(1 << bit)})
        share = (flipped[:, None] >> np.arange(32, dtype=np.uint64) & u64(1)).mean(axis=0)
        assert np.all(np.abs(share - 0.5) * 2 * samples**0.5 < LIMIT)


FORM = float_format(5, 2)  # above 1 its grid is a quarter


def ups(fraction: Fraction, draws: list[Draw], sign: int = 1) -> int:
    """How often 1 + fraction/4 becomes 1.25, and not 1."""
    x = sign * (1 + fraction / 4)
    rounded = [round_exact(x, FORM, STOCHASTIC, chance) for chance in draws]
    assert set(rounded) <= {Fraction(sign), Fraction(sign) * Fraction(5, 4)}
    return sum(y != sign for y in rounded)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", [1, 2, 5])
def test_r_bits_round_up_with_the_probability_cut_to_r_bits(bits: int, sign: int) -> None:
    every = [Draw(bits, value) for value in range(2**bits)]
    for k in range(128):
        assert ups(Fraction(k, 128), every, sign) == k * 2**bits // 128


def test_the_ideal_rounding_is_off_by_at_most_half_a_step() -> None:
    bits = 6
    odd = [Draw(bits, value) for value in range(1, 2**bits, 2)]
    for k in range(512):
        probability = Fraction(ups(Fraction(k, 512), odd), len(odd))
        assert abs(probability - Fraction(k, 512)) <= Fraction(1, 2**bits)


@pytest.mark.parametrize(
    ("bits", "probability"),
    [(2, Fraction(1, 4)), (4, Fraction(4, 16)), (16, Fraction(3, 10)), (None, Fraction(3, 10))],
)
def test_sums_of_rounded_terms_have_the_mean_and_variance_of_their_probability(
    bits: int | None, probability: Fraction
) -> None:
    """The term 1 + 0.3/4 at 64 steps of 256 outputs; 16 bits are off by less than is seen."""
    cut_bits = Accumulator(FORM, STOCHASTIC, random_bits=bits).cut_bits
    counts = [
        ups(
            Fraction(3, 10),
            [draw(Stream(3, row), INNER, k, cut_bits, odd=bits is None) for k in range(64)],
        )
        for row in range(256)
    ]
    p, variance = float(probability), 64 * float(probability * (1 - probability))
    assert abs(np.mean(counts) - 64 * p) / (variance / 256) ** 0.5 < LIMIT
    assert abs(np.var(counts) / variance - 1) * (256 / 2) ** 0.5 < LIMIT
    if probability != Fraction(3, 10):  # the bias of few bits is seen
        assert abs(np.mean(counts) - 64 * 0.3) / (variance / 256) ** 0.5 > LIMIT


def test_the_streams_of_pieces_compose() -> None:
    piece = Stream(7, row=1, column=2, step=3).at(row=10, step=30).at(column=20, step=300)
    assert piece == Stream(7, row=11, column=22, step=333)
    assert draw(Stream(7).at(row=4).at(column=5), INNER, 6, 9, odd=False) == draw(
        Stream(7, 4, 5), INNER, 6, 9, odd=False
    )


def test_a_stream_is_itself_a_seed_or_a_seed_drawn() -> None:
    stream = Stream(5, row=2)
    assert stream_of(stream) is stream
    assert stream_of(2**64 - 1) == Stream(2**64 - 1)
    first, second = (stream_of(np.random.default_rng(1)) for _ in range(2))
    assert first == second != stream_of(np.random.default_rng(2))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"seed must be in 0\.\.2\^64 - 1, got {seed}"):
        stream_of(seed)


@pytest.mark.parametrize("place", ["row", "column", "step"])
def test_negative_places_are_refused(place: str) -> None:
    with pytest.raises(ValueError, match="places must not be negative"):
        Stream(1, **{place: -1})
    with pytest.raises(ValueError, match="places must not be negative"):
        Stream(1, 2, 2, 2).at(**{place: -3})
