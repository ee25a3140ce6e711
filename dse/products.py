"""Products as they are written on the command line, and the samples in files that they name.

    PRODUCTS = TERM | OPERAND*OPERAND
    TERM, OPERAND = DISTRIBUTION | FORMAT | DISTRIBUTION:FORMAT
    DISTRIBUTION = gaussian | laplace | uniform | half-normal | FILE.npy
    FORMAT = a name of the catalogue | e5m2 and the like | mxint8

A format alone is a Gaussian in it.
"""

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.catalog import FORMATS, operands_of
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
from analysis.formats import FloatFormat, float_format
from models.files import shown

Integers64 = npt.NDArray[np.int64]

#: OCP Microscaling Formats Specification 1.0, section 5
BLOCKS = {"mxint8": Blocks(32, 6)}
_SUFFIX = ".npy"
#: FP8 (1,5,2) operands, as in Wang et al. (NeurIPS 2018)
USUAL = "fp8_e5m2*fp8_e5m2"
#: values of a sample; its float64 copies take some GB
MAX_VALUES = 10**8


class NamedProducts(NamedTuple):
    """Products, and the text that says which: of a sample, its file's name and its digest."""

    name: str
    products: Products


def default_products(accumulator: str | None, m_p: int | None) -> str:
    """What is summed where nothing is said: Gaussians.

    Pairs in the operands' format of a named accumulator, terms of ``m_p`` bits where these are
    said, else pairs in FP8 (1,5,2).

    >>> default_products("hopper_fp8_e4m3", None), default_products(None, 5)
    ('fp8_e4m3*fp8_e4m3', 'gaussian')
    """
    operands = None if accumulator is None else operands_of(accumulator)
    if operands is not None:
        return f"{operands}*{operands}"
    return USUAL if m_p is None else str(Shape.GAUSSIAN)


class Multiplied(NamedTuple):
    """Products, and the mantissa bits that the multiplier leaves them; None: all."""

    products: Products
    multiplier_bits: int | None


def rounded_to(products: Products, m_p: int | None) -> Multiplied:
    """Products of ``m_p`` mantissa bits: terms are drawn so, products of two rounded so.

    Products of two floating-point operands have m_a + m_b + 1 bits, and are left as they are where
    that is enough.

    Raises:
        ValueError: a term is in fixed point or in blocks.
    """
    a, b = products.a, products.b
    if m_p is None:
        return Multiplied(products, None)
    if b is not None:
        forms = [form for form in (a.format, b.format) if isinstance(form, FloatFormat)]
        exact = sum(form.mantissa_bits for form in forms) + 1
        return Multiplied(products, None if len(forms) == 2 and exact <= m_p else m_p)
    if a.format is None:
        return Multiplied(Products(replace(a, format=float_format(10, m_p))), None)
    if not isinstance(a.format, FloatFormat):
        raise ValueError(f"products: m_p is of floating-point terms, got {a.format}")
    bits = min(m_p, a.format.mantissa_bits)
    form = replace(a.format, name=f"{a.format.name} to m{bits}", mantissa_bits=bits)
    return Multiplied(Products(replace(a, format=form)), None)


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
    return sample_of(_numbers(path), str(path))


def load_integers(path: Path) -> Integers64:
    """Weights in a ``.npy`` file, (out, K): the first axis is that of outputs.

    Raises:
        ValueError: the file cannot be read as an array of whole numbers.
    """
    values = _numbers(path)
    if values.dtype.kind not in "iu" or values.ndim < 2 or not values.size:
        raise ValueError(
            f"{path}: weights must be whole numbers of shape (out, ...), got {values.dtype} of"
            f" shape {values.shape}"
        )
    return values.reshape(len(values), -1).astype(np.int64)


def _numbers(path: Path) -> npt.NDArray[Any]:
    if not path.is_file():
        raise ValueError(f"{path}: {'is not a regular file' if path.exists() else 'no such file'}")
    try:  # mapped, so that no header makes NumPy reserve memory that the file does not fill
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: must be an array of numbers, as np.save writes it") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ValueError(f"{path}: must be one array of real numbers")
    if values.size > MAX_VALUES:
        raise ValueError(f"{path}: must be at most {MAX_VALUES:,} values, got {values.size:,}")
    return values


def product_bits(products: Products) -> int:
    """Mantissa bits of exact products of floating-point operands, or of terms.

    Raises:
        ValueError: an operand is of no floating-point format.
    """
    bits = -1
    for one in (products.a, products.b):
        if one is None:
            continue
        if not isinstance(one.format, FloatFormat):
            raise ValueError(f"products: operands must be of floating point, got {one.format}")
        bits += one.format.mantissa_bits + 1
    return bits
