from collections.abc import Callable

import numpy as np
import pytest
import torch

from analysis.formats import Accumulator, Rounding, float_format
from models.emulated import Arithmetic, LayerArithmetic, Role

Integers = Callable[..., torch.Tensor]


@pytest.fixture
def wide() -> LayerArithmetic:
    """Loses nothing of small integers."""
    return dict.fromkeys(Role, Arithmetic(Accumulator(float_format(10, 48))))


@pytest.fixture
def narrow() -> LayerArithmetic:
    """Another one for each role, so that a mistaken role shows."""
    return {
        Role.FWD: Arithmetic(Accumulator(float_format(6, 3), chunk=4), float_format(5, 2)),
        Role.BWD: Arithmetic(
            Accumulator(float_format(6, 4), Rounding.TOWARD_ZERO, 10), float_format(5, 3)
        ),
        Role.GRAD: Arithmetic(Accumulator(float_format(6, 2)), float_format(4, 1)),
    }


@pytest.fixture
def stochastic() -> LayerArithmetic:
    accumulator = Accumulator(float_format(8, 4), Rounding.STOCHASTIC, random_bits=8)
    return dict.fromkeys(Role, Arithmetic(accumulator, float_format(5, 2)))


@pytest.fixture
def integers() -> Integers:
    """Small integers, other ones at each call."""
    rng = np.random.default_rng(0)

    def draw(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.from_numpy(rng.integers(-9, 10, shape).astype(np.float64)).to(dtype)

    return draw


@pytest.fixture
def normal() -> Integers:
    """Normal variates, float32, other ones at each call."""
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    return draw
