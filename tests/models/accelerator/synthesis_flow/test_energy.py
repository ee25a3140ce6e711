import shutil

import pytest

from models.accelerator.synthesis.energy import (
    Activity,
    count_transitions,
    delayed_verilog,
    energy,
    simulate_activity,
    transition_pj,
)
from models.accelerator.synthesis.liberty import Library
from models.accelerator.synthesis.netlist import Instance, Netlist, Port

#: y = !(a ^ !a): always 0, but for a pulse as long as the first inverter takes
PULSE = Netlist(
    "pulse",
    (Port("a", True, ("n1",)), Port("y", False, ("n4",))),
    (
        Instance("INV", {"A": "n1", "Y": "n2"}),
        Instance("XOR", {"A": "n1", "B": "n2", "Y": "n3"}),
        Instance("INV", {"A": "n3", "Y": "n4"}),
    ),
)
#: a counter of one bit
TOGGLE = Netlist(
    "toggle",
    (Port("clk", True, ("n9",)), Port("t", True, ("n3",)), Port("q", False, ("n1",))),
    (
        Instance("DFF", {"CLK": "n9", "D": "n2", "Q": "n1"}),
        Instance("XOR", {"A": "n1", "B": "n3", "Y": "n2"}),
    ),
)
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")


def test_a_transition_charges_what_the_net_drives_and_moves_the_cell_behind_it(
    small: Library,
) -> None:
    costs = transition_pj(PULSE, small)
    # ½ C V² at 2 V is 2 C: n1 drives an inverter (0.5 pF) and an exclusive or (1 pF)
    assert costs["n1"] == pytest.approx(2 * 1.5)
    # n2 drives 1 pF, behind an inverter of (0.1 + 0.3) / 2 pJ; n3 drives 0.5 pF, n4 nothing
    assert costs["n2"] == pytest.approx(2 * 1.0 + 0.2)
    assert costs["n3"] == pytest.approx(2 * 0.5)
    assert costs["n4"] == pytest.approx(0.2)


def test_a_delay_is_that_of_the_cell_at_its_load(small: Library) -> None:
    # the inverter's 1 ns/pF at the 1 pF of the exclusive or; the latter has no table: least delay
    lines = delayed_verilog(PULSE, small).splitlines()
    assert "assign #1000 n2 = (~n1);" in lines
    assert "assign #1 n3 = (n1^n2);" in lines


@needs_icarus
def test_a_glitch_is_in_one_energy_and_not_in_the_other(small: Library) -> None:
    vectors = {"a": [0, 1, 1, 0, 1]}
    activity = simulate_activity(PULSE, small, vectors, delay_ns=2.0)
    assert activity.cycles == 4  # the first settles the start
    assert activity.transitions == {"n1": 3, "n2": 3, "n3": 6, "n4": 6}
    assert activity.settled == {"n1": 3, "n2": 3}
    found = energy(PULSE, small, activity)
    assert found.glitch_free_pj == pytest.approx((3 * 3.0 + 3 * 2.2) / 4)
    assert found.total_pj == pytest.approx(found.glitch_free_pj + 6 * (1.0 + 0.2) / 4)


@needs_icarus
def test_a_flip_flop_pays_its_clock_twice_a_cycle(small: Library) -> None:
    vectors = {"t": [1] * 9}
    activity = simulate_activity(TOGGLE, small, vectors, delay_ns=2.0, clock="clk")
    assert activity.transitions == {"n9": 16, "n1": 8, "n2": 8}
    found = energy(TOGGLE, small, activity)
    assert found.clock_pj == pytest.approx(2 * (2 * 0.25 + 0.2))
    # per cycle one transition of q, which drives 1 pF, and one of its inverse: 0.5 pF
    assert found.glitch_free_pj == pytest.approx(found.clock_pj + 2.0 + 1.0)
    assert found.total_pj == found.glitch_free_pj


def test_transitions_are_those_of_the_counted_cycles() -> None:
    dump = """$var wire 1 ! n1 $end
$var wire 8 " bus [7:0] $end
$enddefinitions $end
#0
x!
#5
1!
#12
0!
#14
1!
b00000001 "
#25
0!
""".splitlines(keepends=True)
    assert count_transitions(dump, 10, 1, 3) == Activity(2, {"n1": 3}, {"n1": 1})
    assert count_transitions(dump, 10, 0, 3) == Activity(3, {"n1": 4}, {"n1": 2})


def test_vectors_must_be_those_of_the_inputs(small: Library) -> None:
    with pytest.raises(ValueError, match=r"pulse: inputs are \['a'\], got \['b'\]"):
        simulate_activity(PULSE, small, {"b": [1, 2]}, delay_ns=1.0)
    with pytest.raises(ValueError, match="pulse: warm-up must be 1 to 0, got 1"):
        simulate_activity(PULSE, small, {"a": [1]}, delay_ns=1.0)
