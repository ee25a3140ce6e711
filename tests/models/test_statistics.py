import json
from pathlib import Path
from typing import Any

import pytest

from models.networks.gemm import Role
from models.networks.layers import Linear
from models.networks.network import Network
from models.statistics import GemmFigures, GemmStatistics, Statistics, load_statistics

NETWORK = Network(
    name="two",
    source="a test",
    layers=(
        Linear(name="first", in_features=6, out_features=5, input_gradient=False),
        Linear(name="last", in_features=5, out_features=3),
    ),
    default_batch=4,
)


def entry(layer: str, role: str, n: int, **fields: Any) -> dict[str, Any]:
    exponents = {"least": -9, "low": -5, "high": 1, "most": 2}
    operand = {"density": 1.0, "mean_ratio": 0.1, "least": -2.0, "most": 3.0}
    return {
        "layer": layer,
        "role": role,
        "n": n,
        "products": 100,
        "density": 0.5,
        "mean_ratio": -0.125,
        "output_mean_ratio": 0.5,
        "chance_mean_ratio": 0.25,
        "drift": 0.25,
        "kurtosis": 9.5,
        "output_kurtosis": 4.0,
        "lag_correlation": 0.0,
        "exponents": exponents,
        "a": {**operand, "exponents": exponents},
        "b": {**operand, "exponents": exponents},
        **fields,
    }


def content(**fields: Any) -> dict[str, Any]:
    gemms = [entry("last", "GRAD", 4), entry("first", "GRAD", 4), entry("first", "FWD", 6)]
    gemms += [entry("last", "BWD", 3), entry("last", "FWD", 5)]
    named = {"network": "two", "batch": 4, "source": "a test", "gemms": gemms}
    return {"kind": "partialsum-statistics", "version": 1, **named, **fields}


def written(path: Path, data: Any) -> Path:
    file = path / "statistics.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def test_statistics_survive_a_file(tmp_path: Path) -> None:
    made = Statistics.model_validate(content())
    file = written(tmp_path, made.model_dump_json())
    assert load_statistics(file) == made == load_statistics(written(tmp_path, content()))


def test_statistics_are_given_in_the_order_of_the_network() -> None:
    found = Statistics.model_validate(content()).of(NETWORK)
    wanted = [(gemm.layer, gemm.role, gemm.length) for gemm in NETWORK.gemms(4)]
    assert [(one.layer, one.role, one.n) for one in found] == wanted


def test_gemms_that_the_network_lacks_are_left_out() -> None:
    more = [*content()["gemms"], entry("elsewhere", "FWD", 9)]
    assert len(Statistics.model_validate(content(gemms=more)).of(NETWORK)) == 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "three"}, "must be of the network 'two', got 'three'"),
        ({"gemms": content()["gemms"][1:]}, "last/GRAD must be there with n = 4 .* got none"),
        ({"batch": 8}, "first/GRAD must be there with n = 8 at batch 8, got n = 4"),
    ],
)
def test_statistics_of_something_else_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Statistics.model_validate(content(**fields)).of(NETWORK)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 2}, "version: should be 1, got 2"),
        ({"kind": "partialsum-plan"}, "kind: should be 'partialsum-statistics'"),
        ({"gemms": []}, "gemms: .*at least 1 item"),
        ({"batch": 0}, "batch: .*greater than or equal to 1, got 0"),
        ({"notes": "x"}, "notes: field is unknown"),
        ({"gemms": [entry("a", "FWD", 3)] * 2}, "gemms must be unique, got a/FWD 2 times"),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"statistics\.json: {message}"):
        load_statistics(written(tmp_path, content(**changed)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"density": -0.5}, "density: should be greater than 0, got -0.5"),
        ({"density": 0.0}, "density: should be greater than 0"),
        ({"density": 1.5}, "density: should be less than or equal to 1, got 1.5"),
        ({"density": "0.5"}, "density: should be a valid number, got '0.5'"),
        ({"density": True}, "density: should be a valid number, got True"),
        ({"n": 0}, "n: should be greater than or equal to 1, got 0"),
        ({"n": 2.5}, "n: should be a valid integer, got 2.5"),
        ({"role": "SIDEWAYS"}, "role: should be 'FWD', 'BWD' or 'GRAD', got 'SIDEWAYS'"),
        ({"mean_ratio": 501.0}, "mean_ratio: should be less than or equal to 500, got 501.0"),
        ({"drift": -0.1}, "drift: should be greater than or equal to 0"),
        ({"kurtosis": 0.5}, "kurtosis: should be greater than or equal to 1, got 0.5"),
        ({"lag_correlation": -1.5}, "lag_correlation: should be greater than or equal to -1"),
        ({"layer": "a\nb"}, "layer: must be printable"),
        ({"exponents": {"least": 0, "low": 1, "high": 0, "most": 2}}, "exponents: .* must rise"),
        ({"exponents": {"least": -9999, "low": 1, "high": 1, "most": 2}}, "exponents.least: "),
        ({"sample": {"a": [1.0], "b": [1.0, 2.0]}}, "sample: .* as many a as b, got 1 and 2"),
        (
            {"sample": {"a": [0.0], "b": [1.0]}},
            r"sample.a\[0\]: must be a float32 that is not zero",
        ),
        ({"sample": {"a": [1.0], "b": [1e300]}}, r"sample.b\[0\]: must be a float32 .* 1e\+300"),
        ({"sample": {"a": [], "b": []}}, "sample.a: .*at least 1 item"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    file = written(tmp_path, content(gemms=[{**entry("fc", "FWD", 3), **changed}]))
    with pytest.raises(ValueError, match=rf"statistics\.json: gemms\[0\]\.?{message}"):
        load_statistics(file)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: str) -> None:
    text = json.dumps(content()).replace("9.5", number, 1)
    with pytest.raises(ValueError, match="finite"):
        load_statistics(written(tmp_path, text))


def test_a_missing_figure_is_named(tmp_path: Path) -> None:
    fields = entry("fc", "FWD", 3)
    del fields["drift"]
    with pytest.raises(ValueError, match=r"gemms\[0\]: field 'drift' is required"):
        load_statistics(written(tmp_path, content(gemms=[fields])))


def test_the_record_of_the_documentation_is_one(tmp_path: Path) -> None:
    import models.statistics as module

    assert module.__doc__ is not None
    text = module.__doc__.split("):\n\n")[1].split("\n\n``a``")[0]
    operand = json.dumps(entry("x", "FWD", 1)["b"])
    found = load_statistics(written(tmp_path, text.replace("{...}", operand)))
    assert (found.gemms[0].role, found.gemms[0].n) == (Role.FWD, 27)


def test_figures_are_everything_but_the_sample() -> None:
    sample = {"a": [1.0, 2.0], "b": [0.5, 3.0]}
    one = GemmStatistics.model_validate(entry("fc", "FWD", 64, sample=sample))
    assert one.figures == GemmFigures.model_validate(entry("fc", "FWD", 64))
