"""Measure what the product promises to be fast, each against a rival or a floor in the same run.

    python -m benchmarks

Or one by one: ``python -m benchmarks.emulation``, ``.quantization``, ``.simulation``, ``.theory``,
``.gpu``.
"""

from runpy import run_module

for part in ("emulation", "quantization", "simulation", "theory"):
    run_module(f"benchmarks.{part}", run_name="__main__")
