from pathlib import Path

import pytest
from pydantic import ValidationError

from analysis.formats import Rounding, float_format
from models.accelerator.spec import Accelerator
from models.networks.gemm import Role
from models.plan import GemmPlan, Plan, load_plan


def gemm(**changes: object) -> GemmPlan:
    fields = {"layer": "fc", "role": Role.FWD, "length": 512, "m_op": 2, "m_acc": 6, "chunk": 64}
    return GemmPlan.model_validate({**fields, **changes})


def plan(*gemms: GemmPlan) -> Plan:
    return Plan(
        network="net",
        batch=4,
        density=1.0,
        cutoff=50.0,
        accelerator=Accelerator(),
        gemms=gemms or (gemm(),),
    )


def test_saved_plan_is_loaded_equal(tmp_path: Path) -> None:
    saved = plan(gemm(), gemm(role=Role.GRAD, length=4, chunk=4))
    saved.save(tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == saved


def test_exact_products_of_two_operands_have_2m_plus_1_bits() -> None:
    assert gemm(m_op=2).m_p == 5  # FP8 (1,5,2): Sakr et al. 2019, section 5


def test_accumulator_is_chunked_only_below_the_length() -> None:
    assert plan().accumulator(gemm()).chunk == 64
    assert plan().accumulator(gemm(chunk=512)).chunk is None


def test_offset_takes_mantissa_bits_off_and_stops_at_one() -> None:
    assert plan().accumulator(gemm(), -2).format == float_format(6, 4)
    assert plan().accumulator(gemm(), -9).format == float_format(6, 1)
    assert plan().accumulator(gemm()).rounding is Rounding.NEAREST_EVEN


def test_chunk_longer_than_the_sum_is_refused() -> None:
    with pytest.raises(ValidationError, match="chunk must be at most the length 512, got 600"):
        gemm(chunk=600)


def test_one_gemm_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="fc/FWD: stands in the plan twice"):
        plan(gemm(), gemm())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan.json: "),
        ('{"kind": "partialsum-plan", "gem', "plan.json: "),
        ("[]", "plan.json: "),
        ('{"kind": "other"}', "plan.json: "),
    ],
)
def test_broken_plan_is_one_line_that_names_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_plan(tmp_path / "plan.json")
    assert "\n" not in str(caught.value)


def test_unknown_field_of_a_plan_is_named(tmp_path: Path) -> None:
    text = plan().model_dump_json().replace('"batch"', '"bacth"')
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match="bacth"):
        load_plan(tmp_path / "plan.json")
