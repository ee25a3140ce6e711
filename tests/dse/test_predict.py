import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.catalog import ACCUMULATORS
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import Accumulator, Product, Rounding, float_format
from analysis.noise import SumError, predict
from dse.products import parse_products, rounded_to
from dse.sum_grid import SumGrid, sums_of

Partialsum = Callable[..., tuple[int, str, str]]
FORM = float_format(6, 6)


def records(partialsum: Partialsum, *words: object) -> list[dict[str, Any]]:
    code, out, err = partialsum("predict", *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def figures(record: dict[str, Any]) -> SumError:
    return SumError(**{name: record[name] for name in ("retention", "nmse", "bias")})


def term(bits: int, mean: float = 0.0) -> Products:
    return Products(Operand(Shape.GAUSSIAN, float_format(10, bits), mean))


def test_every_option_reaches_the_theory(partialsum: Partialsum) -> None:
    words = ("--n", 512, "--m-acc", 6, "--m-p", 5, "--rounding", "stochastic", "--random-bits", 4,
        "--chunk", 32, "--m-outer", 9, "--mean", 0.25, "--json")  # fmt: skip
    (row,) = records(partialsum, *words)
    outer = Accumulator(float_format(6, 9), Rounding.STOCHASTIC, random_bits=4)
    one = Accumulator(FORM, Rounding.STOCHASTIC, 32, outer, random_bits=4)
    assert figures(row) == predict(one, term(5, 0.25), 512)


def test_cases_are_answered_in_their_order(partialsum: Partialsum, tmp_path: Path) -> None:
    sample = tmp_path / "mine.npy"
    np.save(sample, np.random.default_rng(1).laplace(0, 1, 500))
    cases = [
        {"n": 256, "m_acc": 6, "m_p": 5, "rounding": "nearest"},
        {"n": 256, "m_acc": 6, "rounding": "toward-zero", "chunk": 32, "m_outer": 23},
        {"n": 64, "m_acc": 6, "m_p": 7, "rounding": "toward-minus-infinity", "chunk": None},
        {"n": 64, "m_acc": 6, "products": str(sample), "mean": 0.5},
        {"n": 64, "m_acc": 6, "products": "fp8_e5m2*fp8_e5m2", "mean": 0.5, "m_p": 5},
    ]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    found = records(partialsum, "--cases", file)
    assert [set(row) for row in found] == [{"retention", "nmse", "bias"}] * len(cases)
    wide = Accumulator(float_format(6, 23), Rounding.TOWARD_ZERO)
    fp8 = float_format(5, 2)
    shifted = Products(Operand(Shape.GAUSSIAN, fp8, mean=0.5), Operand(Shape.GAUSSIAN, fp8))
    exact = parse_products(str(sample), 0.5, 1.0).products
    expected = [
        predict(Accumulator(FORM), term(5), 256),
        predict(Accumulator(FORM, Rounding.TOWARD_ZERO, 32, wide), gaussian_products(fp8), 256),
        predict(Accumulator(FORM, Rounding.DOWN), term(7), 64),
        predict(Accumulator(FORM), exact, 64),
        predict(Accumulator(FORM), shifted, 64),
    ]
    for row, one in zip(found, expected, strict=True):
        assert figures(row).nmse == pytest.approx(one.nmse, rel=1e-9)
        assert figures(row).bias == pytest.approx(one.bias, rel=1e-9, abs=1e-12)


def test_the_simulation_stands_beside_the_prediction(partialsum: Partialsum) -> None:
    words = ("--n", 1024, "--m-acc", 5, "--m-p", 5, "--simulate", "--precision", 0.05)
    (row,) = records(partialsum, *words, "--json")
    assert row["samples"] > 0
    assert row["simulated_nmse"] == pytest.approx(row["nmse"], rel=0.2)
    code, out, _ = partialsum("predict", *words)
    predicted, simulated = (line for line in out.splitlines() if "predicted" in line or "±" in line)
    assert (code, predicted.split()[:3]) == (0, ["e6m5", "nearest-even", "1,024"])
    assert simulated.split()[0] == "simulated"


@pytest.mark.parametrize(
    ("text", "m_p", "form", "multiplier"),
    [
        ("gaussian", 5, "e10m5", None),  # terms are drawn with the bits of a product
        ("laplace:e5m10", 3, "e5m10 to m3", None),
        ("e5m2*e5m2", 5, "e5m2", None),  # 2 + 2 + 1 bits: exact
        ("e5m2*e5m2", 4, "e5m2", 4),
        ("e5m2*gaussian", 20, "e5m2", 20),
    ],
)
def test_products_of_so_many_bits(text: str, m_p: int, form: str, multiplier: int | None) -> None:
    products, bits = rounded_to(parse_products(text, 0.0, 1.0).products, m_p)
    assert products.a.format is not None
    assert (getattr(products.a.format, "name", None), bits) == (form, multiplier)


def test_a_multiplier_rounds_before_the_sum() -> None:
    (one,) = sums_of(SumGrid(n=(8,), m_acc=(6,), m_p=3, products=("e5m2*e5m2",)))
    assert one.accumulator == Accumulator(FORM, product=Product(float_format(10, 3)))


def test_a_named_accumulator_sums_products_of_its_own_operands() -> None:
    (one,) = sums_of(SumGrid(n=(64,), accumulator=("hopper-fp8",)))
    assert one.fields.products == "fp8_e4m3*fp8_e4m3"
    (one,) = sums_of(SumGrid(n=(64,), accumulator=("float32",)))
    assert one.fields.products == "fp8_e5m2*fp8_e5m2"


@pytest.mark.parametrize(
    ("cases", "parts"),
    [
        ([{"n": 8}], ["[0]", "m_acc or accumulator", "neither"]),
        ([{"n": 8, "m_acc": 4}, {"n": 0, "m_acc": 4}], ["[1].n", "1", "0"]),
        ([{"n": [8, 9], "m_acc": 4}], ["[0]", "one sum", "2"]),
        ([{"n": 8, "m_acc": 4, "rounding": "up"}], ["[0].rounding", "'up'"]),
        ([{"n": 8, "m_acc": 4, "mantissa": 3}], ["mantissa", "unknown"]),
        ([{"n": 8, "m_acc": 4, "m_p": 0}], ["m_p", "0"]),
        ([{"n": 8, "m_acc": 4, "m_outer": 9}], ["m_outer needs a chunk"]),
        ([{"n": 8, "m_acc": 4, "products": "int8", "m_p": 5}], ["[0]", "m_p", "int8"]),
        ([{"n": 8, "m_acc": 4, "mean": 1e9}], ["[0]", "mean"]),
        ([{"n": 8, "m_acc": 4, "products": "gone.npy"}], ["[0]", "gone.npy"]),
        ({"n": 8, "m_acc": 4}, ["tuple"]),
    ],
)
def test_bad_cases_are_one_line_that_names_the_place(
    partialsum: Partialsum, tmp_path: Path, cases: object, parts: list[str]
) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    code, out, err = partialsum("predict", "--cases", file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in ["cases.json", *parts]:
        assert part in err


def test_cases_say_all(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_text("[]")
    assert records(partialsum, "--cases", file) == []
    code, _, err = partialsum("predict", "--cases", file, "--n", 8)
    assert (code, "got also n" in err) == (2, True)
    code, _, err = partialsum("predict", "--cases", file, "--simulate")
    assert (code, "got also simulate" in err) == (2, True)


def test_the_catalogue_is_shown_name_by_name(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("accumulators")
    assert code == 0
    *table, note = out.splitlines()[3:]
    lines = {line.split()[0]: line for line in table if line.strip()}
    assert "hopper-fp8" in note
    assert set(lines) == set(ACCUMULATORS)
    assert "32 fused, 13 bits" in lines["hopper_fp8_e4m3_promoted"]
    assert "128 into float32" in lines["hopper_fp8_e4m3_promoted"]
