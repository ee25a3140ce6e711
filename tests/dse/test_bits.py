import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from analysis.catalog import named_accumulator, named_format
from analysis.distributions import Operand, Products, Shape, gaussian_products
from analysis.formats import FloatFormat, Rounding, float_format
from analysis.noise import predict
from analysis.operand_noise import operand_noise
from analysis.requirement import (
    Criterion,
    NoiseBudget,
    NoiseParity,
    Sought,
    least_bits,
    min_accumulator_bits,
    operand_formats,
)
from dse.calibration import calibrate, write_statistics
from models.networks.loading import load_network
from models.products import measured_operand_noise, products_by_gemm
from models.statistics import load_statistics

Partialsum = Callable[..., tuple[int, str, str]]


def records(partialsum: Partialsum, *words: object) -> list[dict[str, Any]]:
    code, out, err = partialsum("bits", *words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_criteria_stand_side_by_side(partialsum: Partialsum) -> None:
    words = ("--n", 4608, "--m-p", 5, "--chunk", 64, "--criterion", "all", "--parity", 0.2,
        "--nmse", 1e-4, "--rounding", "stochastic")  # fmt: skip
    found = {one["criterion"]: one for one in records(partialsum, *words)}
    assert list(found) == ["v < 50", "NMSE ≤ 0.0001", "parity 0.2"]
    assert (found["v < 50"]["plain_bits"], found["v < 50"]["chunked_bits"]) == (9, 4)
    criteria: dict[str, Criterion] = {
        "NMSE ≤ 0.0001": NoiseBudget(1e-4),
        "parity 0.2": NoiseParity(0.2),
    }
    for label, criterion in criteria.items():
        for chunk, field in ((None, "plain_bits"), (64, "chunked_bits")):
            assert found[label][field] == min_accumulator_bits(
                4608, 5, chunk=chunk, criterion=criterion, rounding=Rounding.STOCHASTIC
            )
    code, out, _ = partialsum("bits", *words)
    assert code == 0
    assert "9 mantissa bits; in chunks of 64: 4 (v < 50, density 1)" in out
    assert "(NMSE ≤ 0.0001, density 1)" in out


def test_the_theorem_alone_is_the_default(partialsum: Partialsum) -> None:
    words = ("digits-cnn", "--batch", 64)
    assert records(partialsum, *words) == records(partialsum, *words, "--criterion", "theorem")
    assert {one["criterion"] for one in records(partialsum, *words)} == {"v < 50"}


def test_a_network_shows_each_kind_of_gemm_once(partialsum: Partialsum, tmp_path: Path) -> None:
    file = tmp_path / "bits.csv"
    code, out, _ = partialsum("bits", "gpt2-small", "--criterion", "all", "--csv", file)
    assert code == 0
    assert "v < 50   NMSE ≤ 0.001   parity 0.1" in out
    assert len(out.splitlines()) < 40
    gemms = load_network("gpt2-small").gemms()
    assert len(file.read_text().splitlines()) == 1 + 3 * len(gemms)


def test_products_with_a_mean_need_more(partialsum: Partialsum) -> None:
    words = ("--n", 4096, "--criterion", "parity", "--rounding", "toward-minus-infinity")
    products = ("--products", "half-normal:e5m2*half-normal:e5m2")
    (plain,), (skewed,) = (records(partialsum, *words, *more) for more in ((), products))
    assert skewed["plain_bits"] > plain["plain_bits"]


def test_bias_has_its_own_limit(partialsum: Partialsum) -> None:
    words = ("--n", 4096, "--criterion", "nmse", "--nmse", 0.05, "--rounding", "down")
    words = (*words[:-1], "toward-minus-infinity")
    (loose,) = records(partialsum, *words)
    (strict,) = records(partialsum, *words, "--max-bias", 0.001)
    assert strict["plain_bits"] > loose["plain_bits"]
    _, out, _ = partialsum("bits", *words)
    assert "bias" in out


@pytest.mark.parametrize("criterion", [None, "nmse"])
def test_a_named_accumulator_is_judged(partialsum: Partialsum, criterion: str | None) -> None:
    words = [] if criterion is None else ["--criterion", criterion, "--nmse", 2e-6]
    found = records(partialsum, "llama3-8b", "--accumulator", "hopper-fp8", *words)
    assert len(found) == len(load_network("llama3-8b").gemms())
    products = gaussian_products(named_format("fp8_e4m3"))
    for one in found[:3]:
        error = predict(named_accumulator("hopper_fp8_e4m3"), products, one["n"])
        assert (one["nmse"], one["bias"]) == (error.nmse, error.bias)
        parity = 0.1 * operand_noise(products, one["n"])
        assert one["allowed_nmse"] == (parity if criterion is None else 2e-6)
        assert one["enough"] == (one["nmse"] <= one["allowed_nmse"])
    assert {one["enough"] for one in found} == ({True} if criterion is None else {True, False})


def test_the_verdict_is_a_sentence_and_a_table(partialsum: Partialsum) -> None:
    code, out, _ = partialsum("bits", "--n", 100_000, "--accumulator", "wang_2018", "--products",
        "half-normal:e5m2*half-normal:e5m2")  # fmt: skip
    assert code == 0
    assert out.startswith("wang_2018 is enough for 0 of 1 GEMMs (parity 0.1, of half-normal")
    one = Operand(Shape.HALF_NORMAL, float_format(5, 2))
    error = predict(named_accumulator("wang_2018"), Products(one, one), 100_000)
    assert f"{error.nmse:.2e}" in out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--n", 8, "--nmse", 0, "--criterion", "nmse"], ["NMSE budget", "0"]),
        (["--n", 8, "--parity", "nan", "--criterion", "parity"], ["parity", "nan"]),
        (["--n", 8, "--max-bias", -1, "--criterion", "all"], ["bias limit", "-1"]),
        (["--n", 8, "--criterion", "both"], ["--criterion", "both"]),
        (["--n", 8, "--rounding", "up"], ["--rounding", "'up'"]),
        (["--n", 8, "--accumulator", "hoper"], ["hoper", "nearest"]),
        (["--n", 8, "--accumulator", "hopper-fp8", "--criterion", "theorem"], ["theorem"]),
        (["--n", 8, "--criterion", "parity", "--products", "gaussian"], ["operands", "None"]),
        (["--n", 8, "--products", "e5m2*e5m2*e5m2"], ["products"]),
        (["--n", 8, "--m-p", 61], ["m_p", "61"]),
        (["--n", 8, "--chunk", 0], ["chunk", "0"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    partialsum: Partialsum, words: list[object], parts: list[str]
) -> None:
    code, out, err = partialsum("bits", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in err


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("statistics") / "digits.json"
    network = load_network("digits-cnn")
    write_statistics(file, calibrate(network, 4, 32, 0, lambda _: nullcontext(lambda *_: None)))
    return file


def test_measured_products_stand_for_assumed_ones(partialsum: Partialsum, measured: Path) -> None:
    words = ("digits-cnn", "--criterion", "all", "--statistics", measured)
    found = records(partialsum, *words)
    network = load_network("digits-cnn")
    products_of = products_by_gemm(load_statistics(measured), network, operand_formats(5))
    gemms, count = network.gemms(), len(found) // 3
    by_criterion = (found[:count], found[count : 2 * count], found[2 * count :])
    for gemm, theorem, nmse, parity in zip(gemms, *by_criterion, strict=True):
        of = products_of(gemm)
        assert theorem["plain_bits"] == min_accumulator_bits(gemm.length, 5, density=of.density)
        sought = Sought(gemm.length, 5, products=of.products, measured_operand_nmse=of.operand_nmse)
        assert nmse["plain_bits"] == least_bits(sought, NoiseBudget())
        assert parity["plain_bits"] == least_bits(sought, NoiseParity())
    assumed = records(partialsum, *words[:3])
    assert [one["plain_bits"] for one in found] != [one["plain_bits"] for one in assumed]


def test_a_named_accumulator_sums_what_was_measured(partialsum: Partialsum, measured: Path) -> None:
    words = ("digits-cnn", "--accumulator", "hopper-fp8")
    own = records(partialsum, *words, "--statistics", measured)
    assert [one["nmse"] for one in own] != [one["nmse"] for one in records(partialsum, *words)]
    form = named_format("fp8_e4m3")
    assert isinstance(form, FloatFormat)
    for one, gemm in zip(own, load_statistics(measured).gemms, strict=True):
        assert one["allowed_nmse"] == 0.1 * measured_operand_noise(gemm, form, form)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--n", 8], ["statistics", "--n"]),
        (["resnet18-imagenet"], ["'resnet18-imagenet'", "'digits-cnn'"]),
        (["digits-cnn", "--density", 0.5], ["statistics", "density", "0.5"]),
        (["digits-cnn", "--products", "laplace:e5m2*e5m2"], ["statistics", "products"]),
        (["digits-cnn", "--accumulator", "mxint8"], ["mxint8"]),
    ],
)
def test_statistics_of_something_else_are_refused(
    partialsum: Partialsum, measured: Path, words: list[object], parts: list[str]
) -> None:
    code, out, err = partialsum("bits", *words, "--statistics", measured)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in err


def test_calibrate_writes_what_it_measured(partialsum: Partialsum, tmp_path: Path) -> None:
    file, table = tmp_path / "own.json", tmp_path / "own.csv"
    words = ("calibrate", "--steps", 2, "--batch", 16, "-o", file, "--csv", table)
    code, out, _ = partialsum(*words)
    assert code == 0
    found = load_statistics(file)
    assert (found.network, found.batch) == ("digits-cnn", 16)
    assert len(table.read_text().splitlines()) == 1 + len(found.gemms)
    assert f"{found.gemms[0].density:.3g}" in out
    before = file.read_bytes()
    partialsum(*words)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-o", "x.txt"], ["x.txt", ".json"]),
        (["gpt2-small", "-o", "x.json"], ["transformer.h.0", "(768,)"]),
        (["--steps", 0, "-o", "x.json"], ["steps", "0"]),
        (["--batch", 10**6, "-o", "x.json"], ["batch", "1000000"]),
    ],
)
def test_what_cannot_be_calibrated_writes_nothing(
    partialsum: Partialsum,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[object],
    parts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = partialsum("calibrate", *words)
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err
    assert list(tmp_path.iterdir()) == []
