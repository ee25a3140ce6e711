import json

import pytest

from models.accelerator.synthesis.liberty import Library
from models.accelerator.synthesis.netlist import read_netlist, structural_verilog

JSON = json.dumps(
    {
        "modules": {
            "half": {
                "ports": {
                    "a": {"direction": "input", "bits": [2, 3]},
                    "y": {"direction": "output", "bits": [4, "1"]},
                },
                "cells": {
                    "u": {"type": "XOR", "connections": {"A": [2], "B": [3], "Y": [4]}},
                    "v": {"type": "DFF", "connections": {"CLK": [2], "D": ["x"], "Q": [5]}},
                },
            }
        }
    }
)


def test_area_and_flip_flops_are_those_of_the_cells(small: Library) -> None:
    netlist = read_netlist(JSON, "half")
    assert netlist.area_um2(small) == 8 + 16
    assert netlist.register_bits(small) == 1


def test_what_is_constant_is_no_net_and_what_is_undefined_is_zero() -> None:
    netlist = read_netlist(JSON, "half")
    assert netlist.nets == ("n2", "n3", "n4", "n5")
    assert netlist.ports[1].nets == ("n4", "1'b1")
    assert netlist.instances[1].nets["D"] == "1'b0"


def test_the_verilog_says_what_the_netlist_says() -> None:
    assert structural_verilog(read_netlist(JSON, "half")).splitlines() == [
        "module half(a, y);",
        "input [1:0] a;",
        "output [1:0] y;",
        *(f"wire n{i};" for i in (2, 3, 4, 5)),
        "assign n2 = a[0];",
        "assign n3 = a[1];",
        "assign y[0] = n4;",
        "assign y[1] = 1'b1;",
        "XOR u0 (.A(n2), .B(n3), .Y(n4));",
        "DFF u1 (.CLK(n2), .D(1'b0), .Q(n5));",
        "endmodule",
    ]


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"no module 'full', only \['half'\]"):
        read_netlist(JSON, "full")
