import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.bounds import bounds
from analysis.catalog import named_accumulator
from analysis.corrections import SumCase, remedies
from analysis.distributions import gaussian_products
from analysis.formats import Accumulator, Rounding, float_format
from analysis.integer_bounds import Integers, exact_width, tiled_widths
from analysis.requirement import NoiseParity, min_accumulator_bits

Partialsum = Callable[..., tuple[int, str, str]]


def rows(partialsum: Partialsum, *words: object) -> list[dict[str, Any]]:
    code, out, err = partialsum(*words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_the_chunk_of_fewest_bits_is_marked_in_a_flat_curve(partialsum: Partialsum) -> None:
    found = rows(partialsum, "chunk", "--n", 4096, "--m-p", 5)
    chunks = {one["lengths"]: one for one in found[:-4]}
    (best,) = (one for one in chunks.values() if one["best"])
    assert best["lengths"] == "64 × 64"  # √n
    assert chunks["32 × 128"]["bits"] - best["bits"] < 0.3
    for chunk, one in ((64, best), (None, chunks["4,096"])):
        least = min_accumulator_bits(4096, 5, chunk=chunk, criterion=NoiseParity(0.1, 1e9))
        assert one["whole_bits"] == least
    levels = found[-4:]
    assert [one["levels"] for one in levels] == [1, 2, 3, 4]
    assert levels[0]["bits"] > levels[1]["bits"] > levels[2]["bits"]


def test_the_theorem_can_judge_chunks_too(partialsum: Partialsum) -> None:
    found = rows(partialsum, "chunk", "--n", 4608, "--criterion", "theorem")
    by_cut = {one["lengths"]: one["whole_bits"] for one in found[:-4]}
    assert (by_cut["64 × 72"], by_cut["4,608"]) == (4, 9)
    code, out, _ = partialsum("chunk", "--n", 4608, "--criterion", "theorem")
    assert code == 0
    assert "v < 50" in out
    assert "64 × 72" in out


def test_remedies_are_those_of_the_sum_that_is_described(partialsum: Partialsum) -> None:
    found = rows(partialsum, "remedies", "--n", 4608, "--m-acc", 6, "--rounding", "toward-zero")
    form = Accumulator(float_format(6, 6), Rounding.TOWARD_ZERO)
    case = SumCase(form, gaussian_products(float_format(5, 2)), 4608, 5)
    assert [one["nmse"] for one in found] == [one.error.nmse for one in remedies(case)]
    assert [one["nmse"] for one in found] == sorted(one["nmse"] for one in found)
    assert {"none", "best chunk", "compensated sum (Kahan)"} <= {one["remedy"] for one in found}


@pytest.mark.parametrize(
    ("words", "accumulator"),
    [
        (("--accumulator", "hopper-fp8"), named_accumulator("hopper_fp8_e4m3")),
        (
            ("--m-acc", 10, "--rounding", "stochastic", "--chunk", 64),
            Accumulator(float_format(6, 10), Rounding.STOCHASTIC, chunk=64),
        ),
    ],
)
def test_bounds_are_those_of_the_accumulator(
    partialsum: Partialsum, words: tuple[object, ...], accumulator: Accumulator
) -> None:
    found = rows(partialsum, "bounds", "--n", 4096, *words, "--failure", 1e-3)
    expected = bounds(accumulator, 4096, failure=1e-3)
    assert [one["bound"] for one in found] == [one.name for one in expected]
    assert [one["relative"] for one in found] == [float(one.relative) for one in expected]


def test_exponents_that_suffice_are_told(partialsum: Partialsum) -> None:
    found = rows(partialsum, "exponents", "--n", 4096, "--m-acc", 9)
    enough = [one["e_acc"] for one in found if one["enough"]]
    assert enough == [4, 5, 6, 7, 8]
    shifted = rows(partialsum, "exponents", "--n", 4096, "--m-acc", 9, "--log2-scale", 6)
    assert [one["log2_scale"] for one in shifted] == [6] * len(shifted)
    assert min(one["e_acc"] for one in shifted if one["enough"]) == 5
    loose = ("--overflow", 0.5, "--underflow", 0.5)
    wide = rows(partialsum, "exponents", "--n", 4096, "--m-acc", 9, *loose)
    assert min(one["e_acc"] for one in wide if one["enough"]) < 4


def test_integer_widths_by_every_rule(partialsum: Partialsum, tmp_path: Path) -> None:
    found = {one["rule"]: one["width_bits"] for one in rows(partialsum, "integer", "u8*s8",
        "--n", 4608, "--tile", 64)}  # fmt: skip
    assert found["data types"] == 29  # accumulation.md 4
    assert found["inner sums of 64, data types"] == 23
    weights = np.random.default_rng(0).integers(-8, 8, (16, 3, 8), dtype=np.int8)
    file = tmp_path / "weights.npy"
    np.save(file, weights)
    own = {one["rule"]: one["width_bits"] for one in rows(partialsum, "integer", "uint8*int8",
        "--weights", file, "--tile", 8)}  # fmt: skip
    flat, x = weights.reshape(16, 24).astype(np.int64), Integers(8, signed=False)
    assert own["range of every column"] == exact_width(flat, x)
    assert own["inner sums of 8, range of every column"] == tiled_widths(flat, x, 8).inner
    assert own["range of every column"] <= own["ℓ1 norm of the weights"] <= own["data types"]


def test_exact_widths_of_floats(partialsum: Partialsum) -> None:
    found = rows(partialsum, "integer", "fp8_e4m3*fp8_e5m2", "--n", 4096)
    assert [one["width_bits"] for one in found] == [63, 64]


@pytest.mark.parametrize(
    "command", ["chunk --n 64", "remedies --n 64 --m-acc 5", "bounds --n 9 --m-acc 5",
        "exponents --n 9 --m-acc 5", "integer u8*s8 --n 9"],
)  # fmt: skip
def test_tables_are_printed(partialsum: Partialsum, command: str) -> None:
    code, out, err = partialsum(*command.split())
    assert (code, err) == (0, "")
    assert "──" in out


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("chunk --n 1", ["n", "at least 2", "1"]),
        ("chunk --n 64 --criterion all", ["criterion", "all"]),
        ("chunk --n 64 --parity 0", ["parity", "0"]),
        ("chunk --n 64 --products gaussian", ["operands", "None"]),
        ("remedies --n 64", ["m_acc or accumulator"]),
        ("remedies --n 64 --accumulator hopper-fp8", ["sequential", "Fused"]),
        ("remedies --n 64 --m-acc 5 --products gaussian", ["products", "None"]),
        ("remedies --n 64 --m-acc 5 --m-p 3 --products e5m2*e5m2", ["exact"]),
        ("bounds --n 64 --m-acc 5 --failure 0", ["0"]),
        ("bounds --n 0 --m-acc 5", ["n", "0"]),
        ("exponents --n 64 --m-acc 5 --overflow 2", ["overflow", "2"]),
        ("integer u8 --n 4", ["operands", "u8"]),
        ("integer u8*s8", ["--n or --weights", "neither"]),
        ("integer u8*s99 --n 4", ["bits", "99"]),
        ("integer u8*s8 --n 0", ["K", "0"]),
        ("integer u8*fp8_e4m3 --n 4", ["u8"]),
        ("integer u8*s8 --weights gone.npy", ["gone.npy"]),
        ("integer u8*s8 --n 4 --failure 1", ["failure", "1"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    partialsum: Partialsum, command: str, parts: list[str]
) -> None:
    code, out, err = partialsum(*command.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in err


def test_weights_that_are_no_integers_are_refused(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "weights.npy"
    for values in (np.ones((2, 3)), np.ones(3, dtype=np.int8)):
        np.save(file, values)
        code, _, err = partialsum("integer", "u8*s8", "--weights", file)
        assert (code, err.count("\n")) == (2, 1)
        assert "weights must be whole numbers of shape (out, ...)" in err


def test_where_no_bound_holds_it_is_said(partialsum: Partialsum) -> None:
    words = ("bounds", "--n", 16384, "--accumulator", "hopper_fp8_e4m3")
    assert rows(partialsum, *words) == []
    code, out, _ = partialsum(*words)
    assert (code, out.strip()) == (0, "No bound holds: hopper_fp8_e4m3, n = 16,384")


@pytest.mark.parametrize(
    "command", ["chunk --n 4608", "predict --n 8 --m-acc 4", "bits --n 9 --criterion nmse"]
)
def test_products_that_theory_cannot_tell_apart_are_refused(
    partialsum: Partialsum, command: str
) -> None:
    code, _, err = partialsum(*command.split(), "--density", 1e-9)
    assert (code, err.count("\n")) == (2, 1)
    assert "products: must not all be equal" in err
