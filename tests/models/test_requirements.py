import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from analysis.distributions import gaussian_products
from analysis.formats import float_format
from analysis.requirement import NoiseParity, min_accumulator_bits
from analysis.retention import log_variance_lost_chunked
from models.networks.gemm import Gemm, Role
from models.networks.loading import load_network
from models.products import GemmProducts
from models.requirements import Asked, requirement, requirements


def one_sum(n: int) -> Gemm:
    return Gemm("sum", Role.FWD, rows=1, cols=1, length=n, count=1, macs=n)


@given(st.integers(1, 10**6), st.integers(1, 12), st.integers(1, 4096))
def test_required_width_is_accepted_and_one_bit_less_is_not(n: int, m_p: int, chunk: int) -> None:
    asked = requirement(one_sum(n), Asked(m_p, chunk))
    assert asked.log_lost < math.log(50.0)
    for bits, inner in ((asked.plain_bits, n), (asked.chunked_bits, asked.chunk)):
        assert log_variance_lost_chunked(bits, m_p, n, inner) < math.log(50.0)
        if bits > 1:
            assert log_variance_lost_chunked(bits - 1, m_p, n, inner) >= math.log(50.0)


def test_chunk_of_the_whole_sum_is_the_plain_requirement() -> None:
    asked = requirement(one_sum(4608), Asked(5, 10_000))
    assert (asked.chunk, asked.chunked_bits) == (4608, asked.plain_bits)


def test_resnet18_grad_lengths_need_the_widths_of_the_theorem() -> None:
    asked = {
        (one.layer, one.role): one
        for one in requirements(load_network("resnet18-imagenet").gemms(256), Asked(5, 64))
    }
    stem = asked["conv1", Role.GRAD]
    # accumulation.md 1.9: B = 256, dense: n = 3,211,264 needs 17 plain and 11 in chunks of 64
    assert (stem.n, stem.plain_bits, stem.chunked_bits) == (3_211_264, 17, 11)
    assert ("conv1", Role.BWD) not in asked


def test_structural_zeros_count_in_the_theorem_and_not_in_the_noise() -> None:
    dense = one_sum(4096)
    sparse = replace(dense, macs=1024)
    asked = Asked(5, 64)
    assert requirement(sparse, asked).plain_bits == requirement(dense, asked).plain_bits
    parity = replace(asked, criterion=NoiseParity())
    expected = min_accumulator_bits(4096, 5, density=0.25, criterion=NoiseParity())
    assert requirement(sparse, parity).plain_bits == expected
    assert expected < requirement(dense, parity).plain_bits


def test_products_are_those_of_each_gemm() -> None:
    wide = gaussian_products(float_format(8, 4))
    asked = Asked(5, 64, criterion=NoiseParity(), products_of=lambda _: GemmProducts(wide, 1.0))
    found = requirement(one_sum(1024), asked)
    alone = min_accumulator_bits(1024, 5, criterion=NoiseParity(), products=wide)
    assert (found.plain_bits, found.criterion) == (alone, "parity 0.1")
