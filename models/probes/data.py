"""The data of the training probes: UCI optical digits, as scikit-learn ships them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

CLASSES = 10
SIDE = 8  #: pixels


@dataclass(frozen=True, slots=True)
class Images:
    """Images (count, 1, 8, 8) float32 and their digits (count,) int64."""

    pixels: npt.NDArray[np.float32]
    digits: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Digits:
    """A fixed split into images to learn from and images to be tested on."""

    train: Images
    test: Images


@cache
def load_digits(test_images: int, split_seed: int) -> Digits:
    """All 1,797 images, shuffled by ``split_seed`` and standardised by the training part.

    Mean and deviation are of all training pixels together: some pixels are black in every image.
    The data: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998 (its test part, which scikit-learn ships).

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load  # only training needs it, and it is slow
    except ImportError as error:
        raise ImportError("probes need scikit-learn: install partialsum[probes]") from error
    pixels, digits = load(return_X_y=True)
    order = np.random.default_rng(split_seed).permutation(len(digits))
    test, train = order[:test_images], order[test_images:]
    mean, deviation = pixels[train].mean(), pixels[train].std()
    standard = ((pixels - mean) / deviation).astype(np.float32).reshape(-1, 1, SIDE, SIDE)
    return Digits(
        Images(standard[train], digits[train].astype(np.int64)),
        Images(standard[test], digits[test].astype(np.int64)),
    )
