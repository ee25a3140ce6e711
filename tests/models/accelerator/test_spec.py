import pytest
from pydantic import ValidationError

from models.accelerator.spec import Accelerator, Dataflow


@pytest.mark.parametrize("dataflow", list(Dataflow))
def test_a_saved_accelerator_is_read_back(dataflow: Dataflow) -> None:
    array = Accelerator(rows=16, cols=64, dataflow=dataflow, clock_mhz=333.25)
    assert Accelerator.model_validate_json(array.model_dump_json()) == array


def test_accelerators_are_frozen_and_hashable() -> None:
    array = Accelerator()
    assert hash(array) == hash(Accelerator())
    with pytest.raises(ValidationError, match="frozen"):
        array.rows = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("rows", 1, "greater than or equal to 2"),
        ("cols", 5000, "less than or equal to 4096"),
        ("e_op", 9, "less than or equal to 8"),
        ("e_acc", 1, "greater than or equal to 2"),
        ("sram_kib", 0, "greater than or equal to 1"),
        ("dram_gb_per_s", 0.0, "greater than 0"),
        ("clock_mhz", float("nan"), "finite number"),
        ("dataflow", "row-stationary", "output-stationary"),
        ("voltage", 0.9, "Extra inputs are not permitted"),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: object, rule: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){field}.*{rule}"):
        Accelerator.model_validate({field: value})


def test_accumulator_memory_must_hold_one_tile() -> None:
    # 64 × 256 sums of 4 bytes are 64 KiB
    assert Accelerator(rows=64, cols=256, accumulator_kib=64).accumulator_depth == 64
    with pytest.raises(
        ValidationError, match="one 32-bit sum per PE, 65 × 256 of them, got 64 KiB"
    ):
        Accelerator(rows=65, cols=256, accumulator_kib=64)
