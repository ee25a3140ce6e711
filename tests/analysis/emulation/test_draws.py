"""The compiled words against those of ``analysis.draws``."""

import numpy as np
import pytest

from analysis.draws import INNER, OUTER, word
from analysis.emulation.draws import mix32, places, turns


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5, 2**64 - 1])
@pytest.mark.parametrize("level", [INNER, OUTER])
@pytest.mark.parametrize("first", [0, 12345, 2**40, 2**64 - 2])
def test_words_are_those_of_the_definition(seed: int, level: int, first: int) -> None:
    row, column, counter = first, first + 3, first // 2
    table, columns = turns(seed, level, row, 3, counter, 5), places(seed, level, column, 4)
    assert table.dtype == columns.dtype == np.uint32
    computed = [
        [[int(mix32(x)) for x in line + columns[j : j + 1]] for j in range(4)] for line in table
    ]
    expected = [
        [[word(seed, level, row + i, column + j, counter + k) for k in range(5)] for j in range(4)]
        for i in range(3)
    ]
    assert computed == expected


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_tables_may_be_empty(shape: tuple[int, int]) -> None:
    assert turns(1, INNER, 0, shape[0], 0, shape[1]).shape == shape
    assert places(1, INNER, 0, 0).shape == (0,)
