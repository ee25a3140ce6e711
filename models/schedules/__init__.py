"""Precision over training time: what probes run and the search costs."""

from models.schedules.temporal import Phase, Schedule, operand_bits, phases

__all__ = ["Phase", "Schedule", "operand_bits", "phases"]
