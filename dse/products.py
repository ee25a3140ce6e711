"""Products as they are written on the command line, and the samples in files that they name.

    PRODUCTS = TERM | OPERAND*OPERAND
    TERM, OPERAND = DISTRIBUTION | FORMAT | DISTRIBUTION:FORMAT
    DISTRIBUTION = gaussian | laplace | uniform | half-normal | FILE.npy
    FORMAT = a name of the catalogue | e5m2 and the like | mxint8

A format alone is a Gaussian in it.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.catalog import FORMATS
from analysis.distributions import (
    Blocks,
    Distribution,
    Operand,
    OperandFormat,
    Products,
    Sample,
    Shape,
    sample_of,
)
from analysis.formats import float_format
from models.files import shown

#: OCP Microscaling Formats Specification 1.0, section 5
BLOCKS = {"mxint8": Blocks(32, 6)}
_SUFFIX = ".npy"
#: values of a sample; its float64 copies take some GB
MAX_VALUES = 10**8


class NamedProducts(NamedTuple):
    """Products, and the text that says which: of a sample, its file's name and its digest."""

    name: str
    products: Products


def parse_products(text: str, mean: float, density: float) -> NamedProducts:
    """Products by their text; ``mean`` and ``density`` are of the first operand.

    >>> parse_products("laplace:e4m3*fp8_e5m2", mean=0.0, density=1.0).products.b.format.name
    'fp8_e5m2'

    Raises:
        ValueError: the text is of another form, or a file that it names holds no sample.
    """
    parts = text.split("*")
    if len(parts) > 2:
        raise ValueError(f"products: must be of one or two operands, got {shown(text)}")
    pairs = [_parsed(part) for part in parts]
    first = Operand(*pairs[0], mean=mean, density=density)
    second = Operand(*pairs[1]) if len(pairs) == 2 else None
    name = "*".join(
        _name(part, distribution) for part, (distribution, _) in zip(parts, pairs, strict=True)
    )
    return NamedProducts(name, Products(first, second))


def _name(part: str, distribution: Distribution) -> str:
    if isinstance(distribution, Sample):
        return part.replace(distribution.name, f"{distribution.name}#{distribution.digest}")
    return part


def _parsed(part: str) -> tuple[Distribution, OperandFormat | None]:
    if part in list(Shape) or part.endswith(_SUFFIX):
        return _distribution(part), None
    distribution, colon, form = part.rpartition(":")
    return (_distribution(distribution) if colon else Shape.GAUSSIAN), _format(form)


def _distribution(name: str) -> Distribution:
    if name.endswith(_SUFFIX):
        return load_sample(Path(name))
    if name not in list(Shape):
        raise _unknown("distribution", name, [*Shape, "FILE.npy"])
    return Shape(name)


def _format(name: str) -> OperandFormat:
    fields = re.fullmatch(r"e(\d{1,3})m(\d{1,3})", name)
    if name in FORMATS:
        return FORMATS[name]
    if name in BLOCKS:
        return BLOCKS[name]
    if fields is None:
        raise _unknown("distribution or format", name, [*Shape, *FORMATS, *BLOCKS])
    return float_format(*map(int, fields.groups()))


def _unknown(kind: str, name: str, known: list[str]) -> ValueError:
    nearest = get_close_matches(name[:100], known, n=1, cutoff=0.0)[0]
    return ValueError(f"products: no {kind} is named {shown(name)}; the nearest is '{nearest}'")


def load_sample(path: Path) -> Sample:
    """The values in a ``.npy`` file, of any shape.

    Raises:
        ValueError: the file cannot be read as an array of real numbers.
    """
    if not path.is_file():
        raise ValueError(f"{path}: is not a regular file")
    try:  # mapped, so that no header makes NumPy reserve memory that the file does not fill
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: must be an array of numbers, as np.save writes it") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ValueError(f"{path}: must be one array of real numbers")
    if values.size > MAX_VALUES:
        raise ValueError(f"{path}: must be at most {MAX_VALUES:,} values, got {values.size:,}")
    return sample_of(values, str(path))
