"""Sums to be told about: every combination of lengths, accumulators and products."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analysis.catalog import named_accumulator
from analysis.distributions import Products
from analysis.formats import Accumulator, Product, Rounding, float_format
from dse.products import default_products, parse_products, rounded_to
from reports.tables import harmless

#: a product's exponents are no part of the question
_PRODUCT_EXPONENT_BITS = 10
#: fields that describe an accumulator
_DESCRIBED = ("m_acc", "m_p", "rounding", "random_bits", "chunk", "m_outer", "e_acc")


#: JSON's numbers, and no texts or truth values that look like them
Whole = Annotated[int, Field(strict=True)]


def _several(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class SumGrid(BaseModel):
    """Every combination of the fields that hold several values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    products: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()  #: none: the usual ones
    mean: float = 0.0  #: of the first operand, in its standard deviations
    density: float = 1.0
    n: Annotated[
        tuple[Annotated[Whole, Field(ge=1, le=2**32)], ...],
        BeforeValidator(_several),
        Field(min_length=1),
    ]
    #: of the catalogue, instead of the next seven fields
    accumulator: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    e_acc: Whole = 6
    m_acc: Annotated[tuple[Whole, ...], BeforeValidator(_several)] = ()
    m_p: Annotated[Whole | None, Field(ge=1, le=23)] = None  #: None: products are exact
    rounding: Annotated[tuple[Rounding, ...], BeforeValidator(_several)] = (Rounding.NEAREST_EVEN,)
    random_bits: Whole | None = None  #: of stochastic rounding; None: as good as ideal
    chunk: Annotated[tuple[Whole | None, ...], BeforeValidator(_several)] = (None,)
    m_outer: Whole | None = None  #: mantissa bits of the sum of chunk sums; None: m_acc

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        default = {name: SumGrid.model_fields[name].default for name in _DESCRIBED}
        said = [name for name in _DESCRIBED if getattr(self, name) != default[name]]
        if self.accumulator and said:
            raise ValueError(f"accumulator is of the catalogue or described, got also {said[0]}")
        if not self.accumulator and not self.m_acc:
            raise ValueError("m_acc or accumulator (of the catalogue) is required, got neither")
        if self.random_bits is not None and Rounding.STOCHASTIC not in self.rounding:
            raise ValueError(
                f"random_bits need stochastic rounding, got {', '.join(self.rounding)}"
            )
        if self.m_outer is not None and self.chunk == (None,):
            raise ValueError("m_outer needs a chunk, got none")
        return self


class SumFields(BaseModel):
    """One sum: everything that its error follows from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    products: str  #: as given, with the digest of a sample's values after the name of its file
    mean: float
    density: float
    n: int
    accumulator: str | None  #: of the catalogue; None: as the next fields say
    e_acc: int | None
    m_acc: int | None
    m_p: int | None
    rounding: Rounding | None
    random_bits: int | None
    chunk: int | None
    m_outer: int | None


class Sum(NamedTuple):
    """What a row says, and the values that it names."""

    fields: SumFields
    accumulator: Accumulator
    products: Products


def options_of(options: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The options of a command that are fields of ``model`` and were given."""
    fields = {k: v for k, v in options.items() if k in model.model_fields and v is not None}
    if isinstance(options.get("chunk"), list):
        fields["chunk"] = [_chunk(text) for text in options["chunk"]]
    return fields


def _chunk(text: str) -> int | str | None:
    if text == "none":
        return None
    return int(text) if text.isdecimal() else text


def sums_of(grid: SumGrid) -> list[Sum]:
    """Every combination once, in the order of the fields.

    Raises:
        ValueError: a name or a number means nothing.
    """
    found: dict[SumFields, Sum] = {}
    parsed = lru_cache(partial(parse_products, mean=grid.mean, density=grid.density))
    texts: Sequence[str | None] = grid.products or (None,)
    for text, n, adding in product(texts, grid.n, _accumulators(grid)):
        usual = default_products(adding["accumulator"], adding["m_p"])
        name, products = parsed(usual if text is None else text)
        said = {"products": harmless(name), "mean": grid.mean, "density": grid.density, "n": n}
        fields = SumFields(**said, **adding)
        products, multiplier = rounded_to(products, fields.m_p)
        found[fields] = Sum(fields, accumulator_of(fields, multiplier), products)
    return list(found.values())


def single_sum(grid: SumGrid) -> Sum:
    """The one sum of a grid.

    Raises:
        ValueError: there are several, or one that means nothing.
    """
    found = sums_of(grid)
    if len(found) != 1:
        raise ValueError(f"a case must be one sum, got {len(found)}")
    return found[0]


def _accumulators(grid: SumGrid) -> Iterator[dict[str, Any]]:
    """The fields that say what a sum is added with."""
    for name in grid.accumulator:
        yield {**dict.fromkeys(_DESCRIBED), "accumulator": name}
    for m_acc, rounding, chunk in product(grid.m_acc, grid.rounding, grid.chunk):
        yield {
            "accumulator": None,
            "e_acc": grid.e_acc,
            "m_acc": m_acc,
            "m_p": grid.m_p,
            "rounding": rounding,
            "random_bits": grid.random_bits if rounding is Rounding.STOCHASTIC else None,
            "chunk": chunk,
            "m_outer": None if chunk is None else grid.m_outer,
        }


def accumulator_of(fields: SumFields, multiplier_bits: int | None = None) -> Accumulator:
    """The accumulator that a sum names or describes, behind a multiplier that rounds."""
    if fields.accumulator is not None:
        return named_accumulator(fields.accumulator)
    assert fields.e_acc is not None
    assert fields.m_acc is not None
    assert fields.rounding is not None
    bits, form = multiplier_bits, float_format(fields.e_acc, fields.m_acc)
    multiplier = None if bits is None else Product(float_format(_PRODUCT_EXPONENT_BITS, bits))
    inner = Accumulator(
        form, fields.rounding, fields.chunk, product=multiplier, random_bits=fields.random_bits
    )
    if fields.m_outer is None:
        return inner
    wide = float_format(fields.e_acc, fields.m_outer)
    outer = Accumulator(wide, fields.rounding, random_bits=fields.random_bits)
    return replace(inner, outer=outer)


def described(fields: SumFields) -> str:
    """The accumulator, as a table names it."""
    if fields.accumulator is not None:
        return fields.accumulator
    drawn = "" if fields.random_bits is None else f" {fields.random_bits} bits"
    chunk = "" if fields.chunk is None else f", chunk {fields.chunk}"
    outer = "" if fields.m_outer is None else f" into m{fields.m_outer}"
    return f"e{fields.e_acc}m{fields.m_acc} {fields.rounding}{drawn}{chunk}{outer}"


def operands(fields: SumFields) -> tuple[str, float, float, int | None]:
    """What was summed."""
    return fields.products, fields.mean, fields.density, fields.m_p


def operands_line(products: str, mean: float, density: float, m_p: int | None) -> str:
    """What was summed, as the heading of a table."""
    rounded = "" if m_p is None else f", {m_p} mantissa bits"
    return f"{products}{rounded}, mean {mean:g}, density {density:g}"
