"""Evidence that a plan holds: emulated sums at every true length, and training runs.

Only ``arithmetic``, ``network`` and ``training`` import torch; records and summaries do not, so
that a report can read what a probe has written.
"""
