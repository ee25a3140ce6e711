"""The conditions under which a sum may be rounded twice (``ways.py``), for every small lane.

All significands of m + 1 bits for the sum, of up to q bits for the product, and all distances of
their exponents at which the two still meet: the rule is not only sufficient but necessary.
"""

import numpy as np
import numpy.typing as npt
import pytest

Ints = npt.NDArray[np.int64]


def nearest(x: Ints, bits: int) -> Ints:
    """``x`` rounded to ``bits`` significant bits, ties to even; exponents know no bounds."""
    magnitude = np.abs(x)
    shift = np.maximum(np.frexp(magnitude.astype(np.float64))[1].astype(np.int64) - bits, 0)
    whole = magnitude >> shift
    rest, half = magnitude - (whole << shift), (np.int64(1) << shift) >> 1
    up = (shift > 0) & ((rest > half) | ((rest == half) & (whole % 2 == 1)))
    return np.asarray(np.sign(x) * ((whole + up) << shift))


def twice_is_once(lane: int, m: int, q: int) -> bool:
    """No s + p of s with m + 1 bits and p with q shows that it went through ``lane`` bits."""
    magnitudes = np.arange(1, 2 ** (m + 1), dtype=np.int64)
    s = np.concatenate([magnitudes, -magnitudes])[None]
    p = np.arange(1, 2**q, dtype=np.int64)[:, None]
    for distance in range(-(lane + m + 3), q + lane + 3):
        total = (p << max(-distance, 0)) + (s << max(distance, 0))
        if np.any(nearest(nearest(total, lane), m + 1) != nearest(total, m + 1)):
            return False
    return True


@pytest.mark.parametrize("lane", range(5, 11))
def test_two_roundings_are_one_exactly_under_the_stated_conditions(lane: int) -> None:
    widths = [(m, q) for m in range(1, lane - 1) for q in range(1, lane + 1)]
    allowed = [q <= min(m + 1, lane - m - 2) and 2 * m + 2 <= lane for m, q in widths]
    assert [twice_is_once(lane, m, q) for m, q in widths] == allowed
