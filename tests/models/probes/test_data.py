import sys

import numpy as np
import pytest

from models.probes.data import load_digits


def test_split_keeps_every_image_once() -> None:
    data = load_digits(360, 0)
    # 1,797 images: scikit-learn's description of the set
    assert len(data.train.digits) == len(data.train.pixels) == 1797 - 360
    assert len(data.test.digits) == len(data.test.pixels) == 360
    both = np.concatenate([data.train.pixels, data.test.pixels]).reshape(1797, -1)
    other = load_digits(500, 3)
    again = np.concatenate([other.train.pixels, other.test.pixels]).reshape(1797, -1)
    # black is the smallest value of either: counting grey levels is free of the scaling
    levels = [np.sort((x - x.min()).sum(axis=1) * (16 / np.ptp(x))) for x in (both, again)]
    np.testing.assert_allclose(levels[0], levels[1], atol=0.01)


def test_split_is_fixed_by_its_seed() -> None:
    first = load_digits(360, 1)
    load_digits.cache_clear()
    np.testing.assert_array_equal(first.test.digits, load_digits(360, 1).test.digits)
    assert not np.array_equal(first.test.digits, load_digits(360, 2).test.digits)


def test_images_are_standardised_by_the_training_part() -> None:
    data = load_digits(360, 0)
    assert data.train.pixels.shape[1:] == (1, 8, 8)
    assert data.train.pixels.dtype == np.float32
    assert abs(data.train.pixels.mean()) < 1e-5
    assert data.train.pixels.std() == pytest.approx(1.0, abs=1e-5)
    assert set(data.test.digits) == set(range(10))


def test_a_missing_package_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    load_digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ImportError, match=r"probes need scikit-learn: install partialsum\[probes\]"
    ):
        load_digits(360, 0)
