"""Recorded results of matrix units: how they are compared and kept, and every file there is."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.catalog import ACCUMULATORS, HALVES, TENSOR_CORES
from analysis.catalog import FP8 as FP8S
from analysis.emulation import matmul
from analysis.formats import Accumulator, Fused, Rounding
from benchmarks.recorded_vectors import (
    RECORDED,
    SIZE,
    Floats32,
    Pair,
    Recording,
    Route,
    compare,
    load,
    measure,
    operand_pairs,
    save,
)

DATA = Path(__file__).parents[1] / "data" / "tensor_cores"
FP16, FP8 = "hopper_float16", "hopper_fp8_e4m3"
MACHINE = {"device": "emulator", "date": "2026-01-01"}


def emulated(accumulator: Accumulator) -> Callable[[Floats32, Floats32], Floats32]:
    def multiply(a: Floats32, b: Floats32) -> Floats32:
        return matmul(a, b, accumulator, threads=1).astype(np.float32)

    return multiply


def corner(operands: str) -> dict[str, Pair]:
    """As much of the vectors as is recorded."""
    pairs = operand_pairs(operands)
    return {name: Pair(a[:RECORDED], b[:, :RECORDED]) for name, (a, b) in pairs.items()}


def recording(route: Route, truth: str) -> Recording:
    """Of a machine that computes what the entry ``truth`` says."""
    pairs = corner(route.operands)
    results = measure(emulated(ACCUMULATORS[truth]), pairs)
    return Recording(MACHINE, {route.operands: pairs}, {route: results})


@pytest.mark.parametrize("name", [FP16, FP8, "hopper_fp8_e4m3_promoted", "ampere_tf32"])
def test_a_machine_that_does_as_its_entry_says_agrees_in_every_element(name: str) -> None:
    (found,) = recording(Route("fake", name), name).comparisons()
    assert (found.differing, found.first) == (0, ())
    assert found.elements == len(corner(found.route.operands)) * RECORDED**2 > 900


def test_a_machine_that_does_not_is_told_where() -> None:
    (found,) = recording(Route("fake", FP16), "ampere_float16").comparisons()
    assert found.differing > len(found.first) > 0
    vectors, row, column, got, expected = found.first[0]
    a, b = corner("float16")[vectors]
    for name, value in ((FP16, expected), ("ampere_float16", got)):
        assert value == matmul(a, b, ACCUMULATORS[name])[row, column]


def test_one_bit_of_one_element_is_noticed() -> None:
    route = Route("fake", FP8)
    one = recording(route, FP8)
    result = one.results[route]["gaussian 128"]
    result[3, 5] = np.nextafter(result[3, 5], np.float32(np.inf))
    (found,) = one.comparisons()
    assert found.differing == 1
    assert found.first[0][:3] == ("gaussian 128", 3, 5)


def test_nan_is_no_agreement_and_the_sign_of_zero_no_difference() -> None:
    route, zeros = Route("fake", FP8), np.zeros((2, 2), np.float32)
    pairs = {"zeros": Pair(np.zeros((2, 32), np.float32), np.zeros((32, 2), np.float32))}
    assert compare(route, pairs, {"zeros": -zeros}).differing == 0
    assert compare(route, pairs, {"zeros": zeros + np.float32(np.nan)}).differing == 4


def test_a_result_of_another_shape_is_refused() -> None:
    pairs = corner("fp8_e4m3")
    with pytest.raises(ValueError, match=r"fake: wide 32 must give \(8, 8\), got \(8, 1\)"):
        compare(Route("fake", FP8), pairs, {"wide 32": np.zeros((8, 1), np.float32)})


def test_a_route_rounds_at_last_to_its_output() -> None:
    pair = corner("float16")["wide 128"]
    sums = matmul(*pair, ACCUMULATORS[FP16])
    narrow = Route("fake", FP16, "float16").expected(pair)
    assert np.array_equal(narrow, sums.astype(np.float16).astype(np.float32))
    assert not np.array_equal(narrow, sums)


def test_routes_name_what_there_is() -> None:
    with pytest.raises(ValueError, match="no accumulator is named"):
        Route("fake", "hopper_fp9")
    with pytest.raises(ValueError, match="route fake: output must be a format, got 'fp9'"):
        Route("fake", FP8, "fp9")
    with pytest.raises(ValueError, match="route fake: bfloat16 has no format of operands"):
        _ = Route("fake", "bfloat16").operands
    with pytest.raises(ValueError, match="must be of floating point, got int8"):
        operand_pairs("int8")


#: those that PyTorch has
OPERANDS = (*HALVES, "tf32", *FP8S)


def distinct(operands: str) -> Mapping[Accumulator, str]:
    """Tensor cores of these operands, one name for each that differs."""
    machines = [machine for machine, names, _, _ in TENSOR_CORES if operands in names]
    ends = ("", "_promoted", "_to_float16")
    names = (f"{machine}_{operands}{end}" for machine in machines for end in ends)
    return {ACCUMULATORS[name]: name for name in names if name in ACCUMULATORS}


@pytest.mark.parametrize("operands", OPERANDS)
def test_what_is_recorded_tells_any_two_machines_apart(operands: str) -> None:
    pairs, machines = corner(operands), distinct(operands)
    results = [measure(emulated(one), pairs) for one in machines]
    for one, other in itertools.combinations(results, 2):
        assert any(not np.array_equal(one[name], other[name]) for name in pairs)


@pytest.mark.parametrize("operands", OPERANDS)
def test_what_is_recorded_shows_any_change_of_a_machine(operands: str) -> None:
    pairs, hopper = corner(operands), ACCUMULATORS[f"hopper_{operands}"]
    assert isinstance(hopper.order, Fused)
    kept, terms = hopper.order.kept_bits, hopper.order.terms
    changed = [replace(hopper.order, kept_bits=bits) for bits in (kept - 1, kept + 1)]
    changed += [replace(hopper.order, terms=many) for many in (terms // 2, terms * 2)]
    changed += [replace(hopper.order, alignment=way) for way in (Rounding.DOWN, Rounding.UP)]
    others = [replace(hopper, order=order) for order in changed]
    others += [replace(hopper, rounding=Rounding.NEAREST_EVEN)]
    truth = measure(emulated(hopper), pairs)
    for other in others:
        found = measure(emulated(other), pairs)
        assert any(not np.array_equal(truth[name], found[name]) for name in pairs), other


@pytest.mark.parametrize("operands", OPERANDS)
def test_vectors_are_finite_values_of_the_operands_format(operands: str) -> None:
    pairs = operand_pairs(operands)
    for a, b in pairs.values():
        assert a.shape[0] == b.shape[1] == SIZE
        assert a.any()
        assert np.abs(a).astype(np.float64).max(axis=0) @ np.abs(b).max(axis=1) < 2.0**15
    again = operand_pairs(operands)
    assert all(np.array_equal(pairs[name].a, again[name].a) for name in pairs)


def test_a_recording_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    route = Route("fake", FP8, instruction="wgmma")
    kept = recording(route, FP8)
    whole = operand_pairs("fp8_e4m3")
    larger = measure(emulated(ACCUMULATORS[FP8]), whole)
    save(Recording(MACHINE, {"fp8_e4m3": whole}, {route: larger}), tmp_path / "a" / "b.npz")
    found = load(tmp_path / "a" / "b.npz")
    assert (found.machine, list(found.results)) == (MACHINE, [route])
    for name, pair in kept.operands["fp8_e4m3"].items():
        assert all(map(np.array_equal, pair, found.operands["fp8_e4m3"][name]))
        assert np.array_equal(kept.results[route][name], found.results[route][name])


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    with pytest.raises(ValueError, match=r"other.npz: must have a header, got \['x'\]"):
        load(tmp_path / "other.npz")


def replay(path: Path) -> None:
    """What came by a known instruction is what the catalogue says now.

    Where a library chose the kernel, nobody has said in which order it sums.
    """
    by_instruction = [one for one in load(path).comparisons() if one.route.instruction]
    assert by_instruction
    assert [one for one in by_instruction if one.differing] == []


def test_a_replay_fails_where_the_catalogue_and_the_machine_part(tmp_path: Path) -> None:
    route = Route("fake", FP16, instruction="wgmma")
    save(recording(route, FP16), tmp_path / "right.npz")
    replay(tmp_path / "right.npz")
    save(recording(route, "ampere_float16"), tmp_path / "wrong.npz")
    with pytest.raises(AssertionError):
        replay(tmp_path / "wrong.npz")


@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_recorded_machines_compute_what_the_catalogue_says(path: Path) -> None:
    replay(path)
