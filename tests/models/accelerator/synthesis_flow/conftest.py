"""A library that can be counted by hand, and the absence of the tools."""

import pytest

from models.accelerator.synthesis.flow import missing_tools
from models.accelerator.synthesis.liberty import Library, read_library

_CELLS = """
library(small) {
  nom_voltage : 2;
  cell (INV) { area : 2;
    pin(A) { capacitance : 0.5; }
    pin(Y) { function : "(!A)";
      timing() { cell_rise(d) { index_1 ("0, 1"); index_2 ("0, 1"); values ("0, 0", "1, 1"); } }
      internal_power() {
        rise_power(d) { index_1 ("0, 1"); index_2 ("0, 1"); values ("0.1, 0.1", "0.1, 0.1"); }
        fall_power(d) { index_1 ("0, 1"); index_2 ("0, 1"); values ("0.3, 0.3", "0.3, 0.3"); }
      }
    }
  }
  cell (NAND) { area : 4;
    pin(A) { capacitance : 1; }
    pin(B) { capacitance : 1; }
    pin(Y) { function : "(!(A B))"; }
  }
  cell (XOR) { area : 8;
    pin(A) { capacitance : 1; }
    pin(B) { capacitance : 1; }
    pin(Y) { function : "(A^B)"; }
  }
  cell (DFF) { area : 16; ff (IQ,IQN) { next_state : "D"; clocked_on : "CLK"; }
    pin(CLK) { capacitance : 0.25;
      internal_power() { rise_power(p) { index_1 ("0, 1"); values ("0.2, 0.2"); } }
    }
    pin(D) { capacitance : 0.5; }
    pin(Q) { function : "IQ"; }
  }
}
"""


@pytest.fixture
def small() -> Library:
    return read_library(_CELLS)


@pytest.fixture
def tools() -> None:
    """Skip where the flow cannot run."""
    if missing := missing_tools():
        pytest.skip(f"synthesis needs {', '.join(missing)}")
