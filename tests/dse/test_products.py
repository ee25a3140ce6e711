from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analysis.catalog import named_format
from analysis.distributions import Blocks, Operand, Products, Shape, sample_of
from analysis.formats import float_format
from dse.products import load_sample, parse_products

E5M2, FLOAT8, MXINT8 = named_format("fp8_e5m2"), float_format(5, 2), Blocks(32, 6)


@pytest.mark.parametrize(
    ("text", "products"),
    [
        ("gaussian", Products(Operand(Shape.GAUSSIAN))),
        ("half-normal", Products(Operand(Shape.HALF_NORMAL))),
        ("e6m5", Products(Operand(Shape.GAUSSIAN, float_format(6, 5)))),
        ("laplace:int8", Products(Operand(Shape.LAPLACE, named_format("int8")))),
        ("fp8_e5m2*laplace", Products(Operand(Shape.GAUSSIAN, E5M2), Operand(Shape.LAPLACE))),
        (
            "uniform:fp8_e5m2*e5m2",
            Products(Operand(Shape.UNIFORM, E5M2), Operand(Shape.GAUSSIAN, FLOAT8)),
        ),
        ("mxint8*e5m2", Products(Operand(Shape.GAUSSIAN, MXINT8), Operand(Shape.GAUSSIAN, FLOAT8))),
    ],
)
def test_text_means_these_products(text: str, products: Products) -> None:
    assert parse_products(text, mean=0.0, density=1.0) == (text, products)


def test_mean_and_density_are_of_the_first_operand() -> None:
    _, products = parse_products("laplace*uniform", mean=0.5, density=0.25)
    assert products == Products(Operand(Shape.LAPLACE, None, 0.5, 0.25), Operand(Shape.UNIFORM))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint32])
def test_a_file_is_a_sample_named_by_its_values(dtype: type, tmp_path: Path) -> None:
    values: npt.NDArray[Any] = np.arange(12, dtype=dtype).reshape(3, 4)
    file = tmp_path / "mine.npy"
    np.save(file, values)
    name, products = parse_products(f"{file}:fp8_e5m2*gaussian", mean=0.0, density=1.0)
    sample = sample_of(values)
    assert products == Products(Operand(sample, E5M2), Operand(Shape.GAUSSIAN))
    assert name == f"{file}#{sample.digest}:fp8_e5m2*gaussian"
    np.save(file, values[::-1])
    assert parse_products(str(file), 0.0, 1.0).name != name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no distribution or format is named ''"),
        ("gausian", "is named 'gausian'; the nearest is 'gaussian'"),
        ("fp8_e5m3", "is named 'fp8_e5m3'; the nearest is 'fp8_e5m2'"),
        ("normal:e5m2", "no distribution is named 'normal'; the nearest is 'half-normal'"),
        ("gaussian:", "no distribution or format is named ''"),
        ("e99m2", "format e99m2: exponent bits must be in 2..10, got 99"),
        ("gaussian*gaussian*gaussian", "must be of one or two operands"),
        ("missing.npy", "missing.npy: no such file"),
        (".", "no distribution or format"),
    ],
)
def test_text_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_products(text, mean=0.0, density=1.0)


def test_files_that_hold_no_sample_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.npy"
    np.save(file, np.arange(100.0))
    header = file.read_bytes()[:128]
    with file.open("wb") as pickled:
        np.save(pickled, np.array([{}], dtype=object))
    bad = {
        "text.npy": b"1 2 3",
        "empty.npy": b"",
        "cut.npy": header,
        "huge.npy": header.replace(b"(100,), }       ", b"(1000000000,), }"),
        "pickled.npy": file.read_bytes(),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: must be an array of numbers"):
            load_sample(tmp_path / name)
    for name, array in (
        ("complex.npy", np.ones(3, dtype=complex)),
        ("text.npy", np.array(["a", "b"])),
        ("fields.npy", np.zeros(3, dtype=[("x", float)])),
    ):
        np.save(tmp_path / name, array)
        with pytest.raises(ValueError, match=f"{name}: must be one array of real numbers"):
            load_sample(tmp_path / name)
    np.savez(tmp_path / "several.npz", np.ones(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    with pytest.raises(ValueError, match=r"several.npy: must be one array of real numbers"):
        load_sample(tmp_path / "several.npy")
    np.save(tmp_path / "zeros.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"zeros.npy: a sample must be"):
        load_sample(tmp_path / "zeros.npy")
    with pytest.raises(ValueError, match="is not a regular file"):
        load_sample(tmp_path)
