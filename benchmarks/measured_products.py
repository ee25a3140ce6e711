"""Sums of a network's real operands against theory with measured and with assumed products.

    python -m benchmarks.measured_products

Statistics are of one training run of digits-cnn, operands of another one (seeds 0 and 1), at steps
4, 32 and 100 of 100, rounded to three significant bits. Sums are those of random outputs of every
GEMM, of mantissa widths 4, 6 and 8, plain and in chunks of 64, to nearest. Their NMSE is the mean
of (computed − exact)² over n times the variance of the output's own products. Prints predicted over
measured NMSE for each case, and the range for each kind of products.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.distributions import gaussian_products
from analysis.emulation import matmul
from analysis.formats import Accumulator, float_format
from analysis.noise import predict
from analysis.quantization import quantize
from benchmarks.timing import console, table
from models.networks.gemm import Role
from models.networks.loading import load_network
from models.probes.calibration import (
    measure_statistics,
    operand_matrices,
    probe_of,
    training_tensors,
)
from models.probes.records import TrainingSettings
from models.products import products_of
from models.statistics import GemmStatistics

Array = npt.NDArray[Any]
STEPS = (4, 32, 100)
WIDTHS, CHUNKS = (4, 6, 8), (None, 64)
BATCH, LINES = 64, (256, 16)
OPERANDS = float_format(8, 2)
NETWORK, SETTINGS = load_network("digits-cnn"), TrainingSettings(steps=100)
KINDS = ("Gaussian, density 1", "Gaussian, measured density", "measured")


class Case(NamedTuple):
    name: str
    nmse: float
    ratios: tuple[float, ...]  # predicted over measured, by KINDS


def pairs(seed: int) -> dict[tuple[str, Role], list[tuple[Array, Array]]]:
    """Lines of both operands of each GEMM at every step that counts."""
    rng, probe = np.random.default_rng(seed), probe_of(NETWORK, seed)
    found: dict[tuple[str, Role], list[tuple[Array, Array]]] = {}
    for step, tensors in training_tensors(probe, SETTINGS, BATCH, seed):
        for gemm in NETWORK.gemms(BATCH) if step in STEPS else ():
            layer = probe.weighted[gemm.layer]
            both = operand_matrices(layer, gemm.role, *tensors[gemm.layer])
            a, b = (
                quantize(x[0, rng.permutation(x.shape[1])[:most]], OPERANDS)
                for x, most in zip(both, LINES, strict=True)
            )
            found.setdefault((gemm.layer, gemm.role), []).append((a, np.ascontiguousarray(b.T)))
    return found


def nmse(operands: list[tuple[Array, Array]], accumulator: Accumulator) -> float:
    errors = []
    for a, b in operands:
        exact = a.astype(np.float64) @ b.astype(np.float64)
        squares = np.square(a, dtype=np.float64) @ np.square(b, dtype=np.float64)
        power = squares - np.square(exact) / a.shape[1]
        vary = power > 1e-12 * squares
        errors.append(((matmul(a, b, accumulator) - exact) ** 2)[vary] / power[vary])
    return float(np.concatenate(errors).mean())


def cases(one: GemmStatistics, operands: list[tuple[Array, Array]]) -> Iterator[Case]:
    kinds = (
        gaussian_products(OPERANDS),
        gaussian_products(OPERANDS, one.density),
        products_of(one, OPERANDS, OPERANDS),
    )
    for bits in WIDTHS:
        for chunk in CHUNKS:
            if chunk is None or chunk < one.n:
                accumulator = Accumulator(float_format(8, bits), chunk=chunk)
                real = nmse(operands, accumulator)
                predicted = (predict(accumulator, kind, one.n).nmse for kind in kinds)
                name = f"{one.layer} {one.role} {one.n}/{chunk or one.n}, {bits} bits"
                yield Case(name, real, tuple(each / real for each in predicted))


def main() -> None:
    statistics = measure_statistics(NETWORK, SETTINGS, BATCH, 0, lambda *_: None)
    operands = pairs(1)
    found = [case for one in statistics.gemms for case in cases(one, operands[one.layer, one.role])]
    shown = table("GEMM n/chunk, m_acc", "NMSE", *KINDS)
    for case in found:
        shown.add_row(case.name, f"{case.nmse:.2e}", *(f"{ratio:.2f}" for ratio in case.ratios))
    console.print(shown)
    for kind, ratios in zip(KINDS, zip(*(case.ratios for case in found), strict=True), strict=True):
        within = sum(1.0 / 1.5 <= ratio <= 1.5 for ratio in ratios)
        console.print(
            f"{kind}: {min(ratios):.2f} to {max(ratios):.2f} of the measured NMSE,"
            f" {within} of {len(ratios)} cases within a factor of 1.5"
        )


if __name__ == "__main__":
    main()
