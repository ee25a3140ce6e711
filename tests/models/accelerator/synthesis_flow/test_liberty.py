import pytest

from models.accelerator.synthesis.liberty import Table, parse, read_library, verilog_function

TEXT = """
library(small) {
  nom_voltage : 1.8;
  cell (NAND) { area : 24;
    pin(A) { direction : input; capacitance : 0.5; }
    pin(Y) { direction : output; function : "(!(A B))";
      timing() { related_pin : "A";
        cell_rise(t) { index_1 ("0, 2"); index_2 ("0, 1"); values ( \\
          "0.0, 1.0", \\
          "4.0, 5.0"); }
        cell_fall(t) { index_1 ("0, 2"); index_2 ("0, 1"); values ("2, 3", "6, 7"); }
      }
    }
  }
  cell (DFF) { area : 96; ff (IQ,IQN) { next_state : "D"; clocked_on : "(!CLK)"; } }
}
"""


def test_a_cell_has_the_area_pins_and_function_of_its_group() -> None:
    nand = read_library(TEXT).cells["NAND"]
    assert nand.area_um2 == 24
    assert nand.pins["A"].capacitance_pf == 0.5
    assert nand.pins["A"].function is None
    assert [pin.function for pin in nand.outputs] == ["(~(A & B))"]


def test_a_delay_is_the_mean_of_rise_and_fall() -> None:
    assert read_library(TEXT).cells["NAND"].pins["Y"].delay_ns(1.0, 0.5) == (2.5 + 4.5) / 2


def test_a_flip_flop_has_its_state_and_the_edge_that_sets_it() -> None:
    register = read_library(TEXT).cells["DFF"].register
    assert register is not None
    assert (register.state, register.next_state, register.clock) == ("IQ", "D", "(~CLK)")


def test_a_gate_equivalent_is_the_two_input_nand() -> None:
    assert read_library(TEXT).gate_um2 == 24
    with pytest.raises(ValueError, match="other: no cell has the function"):
        _ = read_library("library(other) { nom_voltage : 1; }").gate_um2


@pytest.mark.parametrize(
    ("load", "slew", "value"),
    [(0, 0, 0), (2, 1, 5), (1, 0, 2), (0, 0.5, 0.5), (4, 0, 8), (-2, 0, -4), (2, 3, 7)],
)
def test_a_table_is_linear_between_and_beyond_its_points(
    load: float, slew: float, value: float
) -> None:
    # every value is 2·load + slew, which a bilinear table keeps everywhere
    table = Table((0.0, 2.0), (0.0, 1.0), ((0.0, 1.0), (4.0, 5.0)))
    assert table.at(load, slew) == value


@pytest.mark.parametrize(
    ("load", "value"), [(0.5, 5), (1, 10), (2, 11), (3, 12), (5, 14), (-1, -10)]
)
def test_a_table_bends_at_its_points(load: float, value: float) -> None:
    assert Table((0.0, 1.0, 3.0), (0.1,), ((0.0,), (10.0,), (12.0,))).at(load, 0.7) == value


def test_a_table_that_is_not_as_its_axes_say_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 loads × 2 slews, rows of \[2, 1\]"):
        Table((0.0, 2.0), (0.0, 1.0), ((0.0, 1.0), (4.0,)))


@pytest.mark.parametrize(
    ("liberty", "verilog"),
    [
        ("(A B)", "(A & B)"),
        ("(!((A B)+C))", "(~((A & B)|C))"),
        ("((S A) + (!S B))", "((S & A) | (~S & B))"),
        ("((A^B)^C)", "((A^B)^C)"),
    ],
)
def test_functions_keep_their_meaning(liberty: str, verilog: str) -> None:
    assert verilog_function(liberty) == verilog


@pytest.mark.parametrize("text", ["library(l) { cell (A) {", "", "library(l) {"])
def test_text_that_ends_early_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Liberty"):
        parse(text)


def test_a_library_with_loads_as_columns_is_refused() -> None:
    template = (
        "lu_table_template(t) { variable_1 : input_net_transition;"
        " variable_2 : total_output_net_capacitance; }"
    )
    with pytest.raises(ValueError, match="t: rows must be loads"):
        read_library(f"library(l) {{ nom_voltage : 1; {template} }}")
