"""Widths of integer and exact accumulators, rule by rule."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from analysis.catalog import named_format
from analysis.distributions import Operand, Products, Shape
from analysis.formats import FixedFormat, FloatFormat, Overflow
from analysis.integer_bounds import (
    Integers,
    data_type_width,
    exact_width,
    kulisch_width,
    kulisch_width_published,
    outer_width,
    statistical_width,
    tiled_widths,
    weight_norm_width,
)
from dse.products import Integers64, load_integers
from models.files import shown

#: what is drawn (:func:`_operand`)
_BY_CHANCE = "Gaussians of mean 0 (unsigned: magnitudes), largest at 4 deviations"
_A2Q, _AXE = "A2Q, arXiv 2308.13504", "AXE, arXiv 2409.17092"


class WidthRow(BaseModel):
    """A width of an integer or exact accumulator, sign included."""

    model_config = ConfigDict(frozen=True)

    rule: str
    width_bits: int
    source: str


def integer_rows(
    operands: str, n: int | None, weights: Path | None, tile: int | None, failure: float
) -> list[WidthRow]:
    """Widths for sums of products of two integers, or of two floating-point formats, exactly.

    Raises:
        ValueError: the operands are no two formats, or what they need is not given.
        TypeError: weights that are not integers.
    """
    a, star, b = operands.partition("*")
    if not star:
        raise ValueError(f"operands: must be of two formats, as u8*s8, got {shown(operands)}")
    if (weights is None) == (n is None):
        got = "neither" if n is None else "both"
        raise ValueError(f"integer: give either --n or --weights, got {got}")
    x, w = _integers(a), _integers(b)
    if x is None or w is None:
        return list(_exact_widths(a, b, n))
    if weights is None:
        assert n is not None
        return [*_by_type(x, w, n, tile), *_by_chance(x, w, n, failure)]
    rows = load_integers(weights)
    length = rows.shape[-1]
    return [*_by_type(x, w, length, None), *_by_weights(x, rows, tile)]


def _integers(text: str) -> Integers | None:
    found = re.fullmatch(r"(u|s|uint|int)(\d{1,2})", text)
    return None if found is None else Integers(int(found[2]), not found[1].startswith("u"))


def _by_type(x: Integers, w: Integers, n: int, tile: int | None) -> Iterator[WidthRow]:
    yield _row("data types", data_type_width(x, w, n), _A2Q)
    if tile is not None:
        inner = data_type_width(x, w, min(tile, n))
        yield _row(f"inner sums of {tile}, data types", inner, _A2Q)
        yield _row("outer sums", outer_width(inner, n, tile), _AXE)


def _by_weights(x: Integers, rows: Integers64, tile: int | None) -> Iterator[WidthRow]:
    exact = exact_width(rows, x)
    norm = int(np.abs(rows).sum(axis=-1).max())
    yield _row("ℓ1 norm of the weights", weight_norm_width(x, norm), _A2Q)
    yield _row("range of every column", exact, "FINN, MinimizeAccumulatorWidth")
    if tile is not None:
        two = tiled_widths(rows, x, tile)
        yield _row(f"inner sums of {tile}, range of every column", two.inner, _AXE)
        yield _row("outer sums", two.outer, _AXE)


def _by_chance(x: Integers, w: Integers, n: int, failure: float) -> Iterator[WidthRow]:
    products = Products(_operand(x), _operand(w))
    for overflow, when in ((Overflow.SATURATE, "any partial"), (Overflow.WRAP, "the final")):
        width = statistical_width(products, n, overflow, failure)
        yield _row(f"{overflow}: {when} sum overflows with {failure:g}", width, _BY_CHANCE)


def _operand(integers: Integers) -> Operand:
    """A Gaussian, or its magnitude, whose largest value is four deviations."""
    width = integers.bits + (not integers.signed)
    shape = Shape.GAUSSIAN if integers.signed else Shape.HALF_NORMAL
    return Operand(shape, FixedFormat(f"{width} bits", width))


def _exact_widths(a: str, b: str, n: int | None) -> Iterator[WidthRow]:
    left, right = named_format(a), named_format(b)
    if not isinstance(left, FloatFormat) or not isinstance(right, FloatFormat):
        raise ValueError(f"operands: must be two integers, as u8*s8, or two floats, got {a}*{b}")
    if n is None:
        raise ValueError("integer: weights are of integer operands, got floating-point ones")
    exact = kulisch_width(left, right, n)
    yield _row("exact: the formats' own values", exact, "Kulisch 2013, chapter 8")
    yield _row("exact: as published", kulisch_width_published(left, right, n), "arXiv 2311.12359")


def _row(rule: str, bits: int, source: str) -> WidthRow:
    return WidthRow(rule=rule, width_bits=bits, source=source)
