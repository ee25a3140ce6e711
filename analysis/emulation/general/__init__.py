"""Compiled accumulation for every accumulator, where no faster kernel is exact."""

from analysis.emulation.general.panels import accumulate

__all__ = ["accumulate"]
