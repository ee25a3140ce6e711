import io

import pandas as pd
import pytest
from pydantic import BaseModel, RootModel

from reports.page import ReportData
from reports.tables import GemmRow, gemm_rows, harmless, to_csv


class Part(BaseModel):
    name: str
    cost: dict[str, float]
    widths: tuple[int, ...] = ()
    best: int | None = None


def test_nested_fields_become_dotted_columns_in_the_order_of_the_fields() -> None:
    rows = [
        Part(name="a", cost={"dram": 1.5, "sram": 2.0}, widths=(3, 4)),
        Part(name="b", cost={"dram": 0.1}, best=2),
    ]
    assert to_csv(rows) == (
        'name,cost.dram,cost.sram,widths,best\na,1.5,2.0,"[3, 4]",\nb,0.1,,[],2\n'
    )


def test_nothing_is_an_empty_file() -> None:
    assert to_csv([]) == ""


def test_numbers_survive_a_round_trip(report: ReportData) -> None:
    frame = pd.read_csv(io.StringIO(to_csv(report.result.front)))
    assert frame["m_acc_mean"].tolist() == [p.m_acc_mean for p in report.result.front]
    assert frame["energy_mj"].tolist() == [p.energy_mj for p in report.result.front]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "|calc", "%x"],
)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    csv = to_csv([Part(name=text, cost={text: 1.0})])
    frame = pd.read_csv(io.StringIO(csv), dtype=str)
    assert frame["name"].tolist() == ["'" + text.replace("\r", "\n")]


def test_a_heading_from_a_user_is_harmless_too() -> None:
    class Loose(RootModel[dict[str, int]]):
        pass

    assert to_csv([Loose({"=x": 1})]) == "'=x\n1\n"


@pytest.mark.parametrize("number", [-1, -1.5, 0])
def test_numbers_are_left_alone(number: float) -> None:
    assert harmless(number) == number


def test_rows_join_plan_requirement_and_energy(report: ReportData) -> None:
    rows = gemm_rows(report.result, report.requirements[:1])
    assert rows[:2] == (
        GemmRow("conv1", "FWD", 1024, 2, 5, 64, "static", 8, 4, 1e9, 0.125),
        GemmRow("conv1", "GRAD", 1024, 2, 9, None, "static", None, None, 3e9, 0.375),
    )
    assert sum(row.energy_share for row in rows) == 1.0
