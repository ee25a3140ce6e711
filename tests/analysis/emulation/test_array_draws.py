import pytest

from analysis.draws import ARRAY, Stream, draw
from analysis.emulation.array_draws import array_bits


@pytest.mark.parametrize("stream", [Stream(7), Stream(8, 3, 9, 5), Stream(2**64 - 1, step=2**40)])
@pytest.mark.parametrize(("bits", "odd"), [(1, 0), (16, 0), (17, 0), (32, 0), (12, 1), (33, 1)])
@pytest.mark.parametrize("first", [0, 1, 250])
def test_they_begin_with_the_draws_of_the_definition(
    stream: Stream, bits: int, odd: int, first: int
) -> None:
    words = array_bits(stream, first, 9, bits, bool(odd))
    unused = 8 * words.itemsize + odd - bits
    steps = range(stream.step + first, stream.step + first + 9)
    expected = [draw(stream, ARRAY, step, bits, bool(odd)).value for step in steps]
    assert [(int(word) >> unused) << odd | odd for word in words] == expected
